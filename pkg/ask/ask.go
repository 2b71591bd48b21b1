// SPDX-License-Identifier: Apache-2.0

// Package ask asks the kernel about other processes with a deadline.
//
// An answer takes microseconds, or may never come: while a program is put into a process, the kernel closes what that
// had open, which on a FUSE mount waits for the file system, and on Linux 6.18 whoever asks meanwhile for the process's
// namespaces, directories or times waits with it (seen there; shown by TestARepairWaitsForNoProgramThatIsBeingStarted
// in pkg/mount). The file system may be a pod's own, which answers when it likes.
package ask

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// limit is how long an answer is waited for.
	limit = time.Second
	// maxUnanswered bounds the questions about the processes of one container that have no answer: each has a thread.
	maxUnanswered = 4
	// maxUnansweredInAll bounds them for all containers together: a process of Go that has 10,000 threads is ended.
	maxUnansweredInAll = 256
)

// question is one that has no answer within the limit.
type question struct {
	pid   int
	group string // the control groups of the process: those of its container
}

var unanswered = struct {
	sync.Mutex

	questions map[*question]bool
}{questions: map[*question]bool{}}

// NoAnswerError is ETIMEDOUT, of a process.
type NoAnswerError struct{ PID int }

func (e NoAnswerError) Error() string {
	return fmt.Sprintf("the kernel gives no answer about process %d: %v", e.PID, e.Unwrap())
}

// Unwrap is for errors.Is.
func (e NoAnswerError) Unwrap() error { return unix.ETIMEDOUT }

// Process returns what f says of a process. Where that takes too long it fails with NoAnswerError, and so it does at once as
// long as an earlier question about that process, four about processes of its container, or 256 in all are without an answer.
// f is left to itself then and must need nothing that its caller ends; drop, unless it is nil, gets what it returns at last.
func Process[T any](pid int, f func() (T, error), drop func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if !isAllowed(pid) {
		return none, NoAnswerError{pid}
	}
	answers, left := make(chan answer), make(chan *question, 1)
	go func() {
		var a answer
		a.err = panics.Guard("question about a process", func() (err error) {
			a.value, err = f()
			return err
		})
		select {
		case answers <- a:
		case q := <-left:
			forget(q)
			if a.err == nil && drop != nil {
				drop(a.value)
			}
		}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-timer.C:
	}
	left <- remember(pid)
	return none, NoAnswerError{pid}
}

func remember(pid int) *question {
	q := &question{pid, groupOf(pid)}
	unanswered.Lock()
	defer unanswered.Unlock()
	unanswered.questions[q] = true
	return q
}

func forget(q *question) {
	unanswered.Lock()
	defer unanswered.Unlock()
	delete(unanswered.questions, q)
}

func isAllowed(pid int) bool {
	unanswered.Lock()
	defer unanswered.Unlock()
	switch n := len(unanswered.questions); {
	case n == 0:
		return true
	case n >= maxUnansweredInAll:
		return false
	}
	group, ofGroup := groupOf(pid), 0
	for q := range unanswered.questions {
		if q.pid == pid {
			return false
		}
		if q.group == group {
			ofGroup++
		}
	}
	return ofGroup < maxUnanswered
}

// groupOf waits for nobody: the kernel asks the process nothing for it.
func groupOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return string(text)
}
