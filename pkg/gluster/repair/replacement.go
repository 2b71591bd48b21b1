// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
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
}

func newReplacement(root *safepath.Dir) *replacement {
	return &replacement{root: root, opening: make(chan struct{}, 1)}
}

// close lets go of the root, as soon as no call needs it any more. It does not wait.
func (t *replacement) close() {
	go func() {
		t.calls.Wait()
		t.root.Close()
	}()
}

// open is a mount.Open with a deadline.
func (t *replacement) open(path string) (int, error) {
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
			r.fd, err = t.root.OpenAny(path)
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
		return r.fd, r.err
	case <-timer.C:
		close(givenUp)
		return -1, fmt.Errorf("its client gave no answer within %v: %w", openWait, unix.ETIMEDOUT)
	}
}
