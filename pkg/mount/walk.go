// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// askTimeout is how long a file system may take to look a mount point up.
const askTimeout = 2 * time.Second

var (
	errCovered = errors.New("another mount covers it")
	errAsking  = fmt.Errorf("an earlier walk to a mount point still waits for its file system: %w", unix.ETIMEDOUT)
)

// walk opens path, as seen from the directory dir (a leading / means nothing more), one component at a time. It
// follows no link, be it the last component, and enters what is mounted on the way.
//
// On a path to a mount point the kernel holds all names, so it needs no file system
// to look them up, unless one of them wants to be asked for every name again after a
// while (FUSE, NFS). Such a one may be hung, so it is asked only if ask is
// true, and waited for no longer than askTimeout.
func walk(dir int, path string, ask bool) (int, error) {
	names, err := safepath.Names(strings.TrimPrefix(path, "/"))
	if err != nil {
		return -1, err
	}
	if len(names) == 0 {
		return unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	}
	fd, err := safepath.OpenCached(dir, strings.Join(names, "/"))
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.EAGAIN):
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL): // the kernel has no such call
	default:
		return -1, fmt.Errorf("walk to /%s: %w", strings.Join(names, "/"), err)
	}
	if !ask {
		return -1, err
	}
	return walkAsking(dir, names)
}

// unanswered counts, for each device, the walks of this process that wait for it although their callers have given
// up. Nobody else asks it meanwhile: threads that wait for a file system can be ended by nothing.
var unanswered = struct {
	sync.Mutex
	walks map[Device]int
}{walks: map[Device]int{}}

// asking is a walk on a goroutine that may be left behind.
type asking struct {
	dir   int
	names []string

	// What follows is under the lock of unanswered.
	device  Device // whose name is being looked up
	at      int    // which name
	givenUp bool
}

type walked struct {
	fd  int
	err error
}

// walkAsking walks, and gives up on a file system that does not answer.
func walkAsking(dir int, names []string) (int, error) {
	dir, err := unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	w := &asking{dir: dir, names: names}
	answer := make(chan walked, 1)
	go func() {
		a := walked{fd: -1}
		a.err = panics.Guard("walk to a mount", func() (err error) {
			a.fd, err = w.walk()
			return err
		})
		answer <- a
	}()
	timer := time.NewTimer(askTimeout)
	defer timer.Stop()
	select {
	case a := <-answer:
		return a.fd, a.err
	case <-timer.C:
	}
	if w.giveUp() {
		return -1, fmt.Errorf("a file system on the way to /%s (device %d:%d) gave no answer within %v: %w",
			strings.Join(names[:w.at+1], "/"), w.device.Major, w.device.Minor, askTimeout, unix.ETIMEDOUT)
	}
	a := <-answer // it came at the last moment
	return a.fd, a.err
}

// walk opens one name after the other. It closes its directory.
func (w *asking) walk() (int, error) {
	fd := w.dir
	for i, name := range w.names {
		next, err := -1, w.begin(i, fd)
		if err == nil {
			next, err = safepath.Step(fd, name)
		}
		unix.Close(fd)
		if abandoned := w.end(err != nil || i == len(w.names)-1); abandoned && err == nil {
			unix.Close(next)
			return -1, errAsking // which nobody hears
		}
		if err != nil {
			return -1, fmt.Errorf("walk to /%s: %w", strings.Join(w.names[:i+1], "/"), err)
		}
		fd = next
	}
	return fd, nil
}

// begin says that the file system of fd is asked for a name, or fails if another walk has been left behind in it.
func (w *asking) begin(i, fd int) error {
	directory, err := look(fd)
	if err != nil {
		return err
	}
	unanswered.Lock()
	defer unanswered.Unlock()
	if w.givenUp || unanswered.walks[directory.device] > 0 {
		return errAsking
	}
	w.device, w.at = directory.device, i
	return nil
}

// end says that a name has been looked up, or could not be, and whether the caller has given up meanwhile.
func (w *asking) end(last bool) (abandoned bool) {
	unanswered.Lock()
	defer unanswered.Unlock()
	if w.givenUp { // the device has answered
		if unanswered.walks[w.device]--; unanswered.walks[w.device] == 0 {
			delete(unanswered.walks, w.device)
		}
		return true
	}
	if last {
		w.at = -1
	}
	return false
}

// giveUp leaves the walk behind, unless it has ended.
func (w *asking) giveUp() bool {
	unanswered.Lock()
	defer unanswered.Unlock()
	if w.at < 0 {
		return false
	}
	w.givenUp = true
	unanswered.walks[w.device]++
	return true
}
