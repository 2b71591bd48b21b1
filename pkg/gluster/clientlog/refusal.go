// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"regexp"
	"slices"
	"strings"
)

// Why a brick refuses a client, as far as the client is told.
const (
	NotAllowed = "auth.allow does not name it, or auth.reject does"
	NoCalls    = "server.allow-insecure is off, or TLS is on for one of the two alone"
)

// refusalLines are what a client logs when a brick lets it in or not, or when the brick is away (GlusterFS 10.3), and
// why it is refused then: "" where it is not.
var refusalLines = []struct{ line, why string }{
	{"SETVOLUME on remote-host failed [{remote-error=Authentication failed}", NotAllowed},
	{noCalls, NoCalls},
	{"attached to remote volume", ""},
	{"disconnected from client", ""},
	{"failed (Connection refused)", ""},
	{silent, ""},
	{found, ""},
}

const (
	// noCalls is logged of each question that ends with its connection: where the brick ends that, it refuses the client.
	// Where the client itself does, as the server is silent, it has logged silent before, and found not yet again.
	noCalls = "received RPC status error"
	silent  = "has not responded in the last"
	found   = "changing port to"
)

// ofBrick is the translator of a brick, "gv0-client-0", before its message.
var ofBrick = regexp.MustCompile(`^\d+-(\S+-client-\d+): (.*)$`)

// Refusals returns why bricks refuse a client, by the names of their translators: what the end of its log says of each
// last. A log that cannot be read says nothing.
func Refusals(logPath string) map[string]string {
	log, _ := tail(logPath, 0)
	return refusals(log)
}

func refusals(log string) map[string]string {
	refused, isSilent := map[string]string{}, map[string]bool{}
	for line := range strings.Lines(log) {
		// Most lines are none of these, and health is asked for often.
		i := slices.IndexFunc(refusalLines, func(r struct{ line, why string }) bool { return strings.Contains(line, r.line) })
		if i < 0 {
			continue
		}
		match := logLine.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		brick := ofBrick.FindStringSubmatch(match[2])
		if brick == nil {
			continue
		}
		switch r := refusalLines[i]; {
		case r.line == silent || r.line == found:
			isSilent[brick[1]] = r.line == silent
			delete(refused, brick[1])
		case r.why == "" || r.line == noCalls && isSilent[brick[1]]:
			delete(refused, brick[1])
		default:
			refused[brick[1]] = r.why
		}
	}
	return refused
}
