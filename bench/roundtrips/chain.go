// SPDX-License-Identifier: Apache-2.0

package roundtrips

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

// Chain is the longest chain of requests of an operation, each of which was sent after the answer to the one before: as
// many round trips its caller waits, on any network. It has the requests of each round.
type Chain []Counts

// Follow calls operation, whose client has its servers at the far end of a wire with a long round trip.
func Follow(w *wire.Wire, operation func() error) (Chain, error) {
	var mu sync.Mutex
	requests := map[int]Counts{}
	rounds, err := w.Rounds(operation, func(round int, payload []byte) {
		mu.Lock()
		defer mu.Unlock()
		if requests[round] == nil {
			requests[round] = Counts{}
		}
		for _, kind := range kindsOf(payload) {
			requests[round][kind]++
		}
	})
	mu.Lock()
	defer mu.Unlock()
	chain := make(Chain, rounds)
	for i := range chain {
		chain[i] = requests[i]
	}
	return chain, err
}

// String has a line for each round.
func (c Chain) String() string {
	var text strings.Builder
	for i, counts := range c {
		fmt.Fprintf(&text, "\n%3d  %s", i+1, counts)
	}
	return text.String()
}

// The form of a request by ONC RPC (RFC 5531, section 9 and 11): the length of the record, a number, and five words
// more.
const (
	wordOfCall    = 2
	wordOfProgram = 4
	wordOfKind    = 6
	wordsOfHead   = 7
	isCall        = 0
	lastFragment  = 1 << 31
	files         = 1298437 // GlusterFS's program of what is done to files
)

// kinds are GlusterFS's own words for what is done to files, by their numbers in its protocol.
var kinds = [...]string{
	1: "STAT", "READLINK", "MKNOD", "MKDIR", "UNLINK", "RMDIR", "SYMLINK", "RENAME", "LINK", "TRUNCATE", "OPEN", "READ", "WRITE", "STATFS",
	"FLUSH", "FSYNC", "SETXATTR", "GETXATTR", "REMOVEXATTR", "OPENDIR", "FSYNCDIR", "ACCESS", "CREATE", "FTRUNCATE", "FSTAT", "LK", "LOOKUP",
	"READDIR", "INODELK", "FINODELK", "ENTRYLK", "FENTRYLK", "XATTROP", "FXATTROP", "FGETXATTR", "FSETXATTR", "RCHECKSUM", "SETATTR", "FSETATTR",
	"READDIRP", "RELEASE", "RELEASEDIR",
}

// kindsOf are the kinds of the requests that a packet begins with. What goes on in the next packet is the last of one.
func kindsOf(payload []byte) (found []string) {
	const word = 4
	at := func(n int) uint32 { return binary.BigEndian.Uint32(payload[n*word:]) }
	for len(payload) >= wordsOfHead*word && at(0)&lastFragment != 0 && at(wordOfCall) == isCall && at(wordOfProgram) == files {
		kind := fmt.Sprint(at(wordOfKind))
		if n := at(wordOfKind); int(n) < len(kinds) && kinds[n] != "" {
			kind = kinds[n]
		}
		found = append(found, kind)
		length := int(at(0)&^lastFragment) + word
		if length > len(payload) {
			break
		}
		payload = payload[length:]
	}
	return found
}
