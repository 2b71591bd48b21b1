// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// replacement is what a running client has mounted, in which a repair opens what the dead one showed. A server that
// falls silent just then does not hold it up: the one call that waits for it keeps the root open, and the others fail
// meanwhile.
type replacement struct {
	root    *safepath.Dir
	calls   sync.WaitGroup
	opening chan struct{} // holds a token while a call is under way
	// opened counts the entries of each directory that were opened. It is the call's that has the token.
	opened map[string]int
}

// A directory is read when so many of its entries were opened that the rest is sooner had in this way: an answer brings
// dozens of names with what a lookup of each would say, and the kernel believes that for as long. A GlusterFS client is
// asked for one name of a directory at a time, whoever asks (it does not say FUSE_PARALLEL_DIROPS), so to open several
// at once is no faster.
const (
	readFrom, readUntil = 8, 64 // entries that were opened
	namesPerOpen        = 8     // that are read in the time of one lookup, or more
)

func newReplacement(root *safepath.Dir) *replacement {
	return &replacement{root: root, opening: make(chan struct{}, 1), opened: map[string]int{}}
}

// close lets go of the root, as soon as no call needs it any more. It does not wait.
func (t *replacement) close() {
	go func() {
		t.calls.Wait()
		t.root.Close()
	}()
}

// errNoBricks is why a mount waits for bricks of the client that takes the dead one's place. The dead one may say ENOTCONN, too, of what is
// mounted below it and lost with it.
var errNoBricks = errors.New("its new client does not reach the bricks")

// open is a mount.Open with a deadline.
func (t *replacement) open(root string) (int, error) {
	select {
	case t.opening <- struct{}{}:
	default:
		return -1, fmt.Errorf("its client is still waiting for an answer to an earlier call: %w", unix.ETIMEDOUT)
	}
	type result struct {
		fd  int
		err error
	}
	answer, givenUp := make(chan result), make(chan struct{})
	t.calls.Go(func() {
		r := result{fd: -1}
		r.err = panics.Guard("open in a repair", func() (err error) {
			t.readBefore(path.Dir(root))
			r.fd, err = t.root.OpenAny(root)
			return err
		})
		<-t.opening // before the answer, as the next call may follow it at once
		select {
		case answer <- r:
		case <-givenUp:
			if r.err == nil {
				_ = unix.Close(r.fd)
			}
		}
	})
	timer := time.NewTimer(openWait)
	defer timer.Stop()
	select {
	case r := <-answer:
		if errors.Is(r.err, unix.ENOTCONN) {
			r.err = fmt.Errorf("%w: %w", errNoBricks, r.err)
		}
		return r.fd, r.err
	case <-timer.C:
		close(givenUp)
		return -1, fmt.Errorf("its client gave no answer within %v: %w", openWait, unix.ETIMEDOUT)
	}
}

// readBefore reads a directory before an entry of it is opened, where that is worth it. Whatever is wrong with it, the
// entry itself will say.
func (t *replacement) readBefore(directory string) {
	t.opened[directory]++
	n := t.opened[directory]
	if n < readFrom || n > readUntil || n&(n-1) != 0 { // looked at when there are twice as many
		return
	}
	rel := strings.Trim(directory, "/")
	if rel == "" {
		rel = "."
	}
	dir, err := t.root.Open(rel)
	if err != nil {
		return
	}
	defer dir.Close()
	// It has as many subdirectories.
	if st, err := dir.Stat(); err == nil && int(st.Nlink) <= n*namesPerOpen {
		_, _ = dir.Names(n * namesPerOpen)
		t.opened[directory] = readUntil + 1
	}
}
