// SPDX-License-Identifier: Apache-2.0

package ask

import (
	"errors"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// Processes is Process for many, one after the other, without the price of a goroutine for each. It returns what f says
// of those that answer; the error joins NoAnswerError for each of the others with what f has failed with.
func Processes[T any](pids []int, f func(pid int) (T, error)) ([]T, error) {
	a := &asker[T]{f: f, pids: pids, done: make(chan struct{})}
	go a.run()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-a.done:
			return a.found, errors.Join(a.errs...)
		case <-timer.C:
			timer.Reset(a.leave())
		}
	}
}

type asker[T any] struct {
	f    func(pid int) (T, error)
	done chan struct{} // closed when all have been asked

	mu    sync.Mutex
	pids  []int // that are still to be asked
	now   *turn
	found []T
	errs  []error
}

// turn is one question of many.
type turn struct {
	pid   int
	began time.Time
	left  *question // nil as long as somebody waits for the answer
}

// next returns the question that comes next, or nil.
func (a *asker[T]) next() *turn {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.pids) > 0 && a.now == nil {
		pid := a.pids[0]
		a.pids = a.pids[1:]
		if isAllowed(pid) {
			a.now = &turn{pid: pid, began: time.Now()}
		} else {
			a.errs = append(a.errs, NoAnswerError{pid})
		}
	}
	return a.now
}

func (a *asker[T]) run() {
	for t := a.next(); t != nil; t = a.next() {
		var value T
		err := panics.Guard("question about a process", func() (err error) {
			value, err = a.f(t.pid)
			return err
		})
		if !a.answered(t, value, err) {
			return // another goes on
		}
	}
	close(a.done)
}

// answered says whether somebody has waited for the answer.
func (a *asker[T]) answered(t *turn, value T, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.left != nil {
		forget(t.left)
		return false
	}
	a.now = nil
	if err != nil {
		a.errs = append(a.errs, err)
	} else {
		a.found = append(a.found, value)
	}
	return true
}

// leave leaves a question to itself that has had its time, and goes on with the next. It returns when to look again.
func (a *asker[T]) leave() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.now
	if t == nil {
		return limit
	}
	if rest := limit - time.Since(t.began); rest > 0 {
		return rest
	}
	t.left = remember(t.pid)
	a.now, a.errs = nil, append(a.errs, NoAnswerError{t.pid})
	go a.run()
	return limit
}
