// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"regexp"
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
	{"received RPC status error", NoCalls},
	{"attached to remote volume", ""},
	{"disconnected from client", ""},
	{"failed (Connection refused)", ""},
}

// ofBrick is the translator of a brick, "gv0-client-0", before its message.
var ofBrick = regexp.MustCompile(`^\d+-(\S+-client-\d+): (.*)$`)

// Refusals returns why bricks refuse a client, by the names of their translators: what the end of its log says of each
// last. A log that cannot be read says nothing.
func Refusals(logPath string) map[string]string {
	log, _ := tail(logPath, 0)
	return refusals(log)
}

func refusals(log string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(log) {
		match := logLine.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		brick := ofBrick.FindStringSubmatch(match[2])
		if brick == nil {
			continue
		}
		for _, r := range refusalLines {
			if strings.Contains(brick[2], r.line) {
				found[brick[1]] = r.why
				if r.why == "" {
					delete(found, brick[1])
				}
			}
		}
	}
	return found
}
