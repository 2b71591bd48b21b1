// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"regexp"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// Why a brick refuses a client, as far as the client is told.
const (
	NotAllowed = "auth.allow does not name it, or auth.reject does, or auth.ssl-allow does not name its certificate"
	NoCalls    = "server.allow-insecure is off, or TLS is on for one of the two alone"
)

// refusalLine is a part of a line, and why the client is refused then: "" where it is not.
type refusalLine struct {
	line, why string
	isTLS     bool
}

// refusalLines are what a client logs when a brick lets it in or not, or when the brick is away (GlusterFS 10.3, OpenSSL 3).
var refusalLines = []refusalLine{
	{"SETVOLUME on remote-host failed [{remote-error=Authentication failed}", NotAllowed, false},
	{noCalls, NoCalls, false},
	{"could not load our cert at", string(credentials.NoneToShow), true},
	{"::certificate verify failed", string(credentials.Unproven), true},
	{"alert certificate expired", string(credentials.OwnExpired), true},
	{"alert unknown ca", string(credentials.OwnOtherCA), true},
	{"alert bad certificate", string(credentials.OwnRefused), true},
	{"::wrong version number", string(credentials.SpeaksPlain), true},
	{"attached to remote volume", "", false},
	{ended, "", false},
	{"failed (Connection refused)", "", false},
	{silent, "", false},
	{found, "", false},
}

const (
	// noCalls is logged of each question that ends with its connection: where the brick ends that, it refuses the client.
	// Where the client itself does, as the server is silent, it has logged silent before, and found not yet again.
	noCalls = "received RPC status error"
	ended   = "disconnected from client"
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
	bricks := map[string]*brickLog{}
	for line := range strings.Lines(log) {
		// Most lines are none of these, and health is asked for often.
		i := slices.IndexFunc(refusalLines, func(r refusalLine) bool { return strings.Contains(line, r.line) })
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
		if bricks[brick[1]] == nil {
			bricks[brick[1]] = &brickLog{}
		}
		bricks[brick[1]].read(refusalLines[i])
	}
	refused := map[string]string{}
	for name, b := range bricks {
		if b.why != "" {
			refused[name] = b.why
		}
	}
	return refused
}

// brickLog is what a log says of one brick.
type brickLog struct {
	why      string // it refuses the client; "" if it does not
	isSilent bool
	isTLS    bool // why
	ends     bool // the connection of which TLS has failed: what is logged next of an end is of that one
}

// read takes one of refusalLines.
func (b *brickLog) read(r refusalLine) {
	switch {
	case r.line == silent || r.line == found:
		*b = brickLog{isSilent: r.line == silent}
	case r.isTLS:
		b.why, b.isTLS, b.ends = r.why, true, true
	case r.line == noCalls && b.isTLS: // its questions end with it
	case r.line == ended && b.ends:
		b.ends = false
	case r.why == "" || r.line == noCalls && b.isSilent:
		b.why, b.isTLS, b.ends = "", false, false
	default:
		b.why, b.isTLS, b.ends = r.why, false, false
	}
}
