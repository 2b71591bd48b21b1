// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// argumentsLimit is how long a process may take to show its arguments, which takes it some microseconds. The kernel
// reads them from its memory, and waits for ever for one that waits in turn, with its memory locked, for a file system
// that does not answer. pkg/ask would not ask for them: that another question about the process has no answer is just
// why they are looked at (TestWhatIsGivenAnotherProgramIsNoSilentClient).
const argumentsLimit = time.Second

// procDir is a mounted proc file system.
type procDir string

const proc procDir = "/proc"

// path is that of a file of one process.
func (p procDir) path(pid int, name string) string {
	return filepath.Join(string(p), strconv.Itoa(pid), name)
}

// reading is one reading of a process's arguments.
type reading struct {
	began time.Time
	done  chan struct{} // closed when it has ended; the result is not read before
	text  []byte
	err   error
}

// underWay are the readings that have not ended, by path: at most one for each process, though nobody may wait for it
// any more.
var underWay = struct {
	sync.Mutex

	readings map[string]*reading
}{readings: map[string]*reading{}}

// begin returns the reading that is under way, or a new one, which is the caller's own.
func begin(path string) (r *reading, own bool) {
	underWay.Lock()
	defer underWay.Unlock()
	if r = underWay.readings[path]; r != nil {
		return r, false
	}
	r = &reading{began: time.Now(), done: make(chan struct{})}
	underWay.readings[path] = r
	go r.read(path)
	return r, true
}

func (r *reading) read(path string) {
	defer close(r.done)
	r.err = panics.Guard("reading of a process's arguments", func() (err error) {
		r.text, err = os.ReadFile(path)
		return err
	})
	underWay.Lock()
	defer underWay.Unlock()
	delete(underWay.readings, path)
}

// arguments are those of a process; none of one that has ended and was not waited for. It fails with ETIMEDOUT where
// they do not show in time, and then, for as long as that lasts, at once.
func (p procDir) arguments(pid int) ([]string, error) {
	path := p.path(pid, "cmdline")
	for {
		r, own := begin(path)
		timer := time.NewTimer(argumentsLimit - time.Since(r.began))
		defer timer.Stop()
		select {
		case <-r.done:
		case <-timer.C:
			return nil, fmt.Errorf("process %d does not show its arguments: %w", pid, unix.ETIMEDOUT)
		}
		if !own {
			continue // it may have begun before what the caller wants to see
		}
		if r.err != nil || len(r.text) == 0 {
			return nil, r.err
		}
		return strings.Split(strings.TrimRight(string(r.text), "\x00"), "\x00"), nil
	}
}
