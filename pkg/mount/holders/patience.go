// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"context"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// answerLimit is how long one process may take to be looked at. It takes some ten microseconds.
	answerLimit = time.Second
	// maxWaiting bounds the threads that wait for an answer beyond that.
	maxWaiting = 16
)

// patience bounds what may wait: a call that does not return in time is left to itself, and its process is not looked at again before
// it does. The zero value is ready to use.
type patience struct {
	mu      sync.Mutex
	waiting map[int]bool // by PID
}

// within returns what ask returns, or nil if it cannot be known now.
func (p *patience) within(pid int, ask func() *one) *one {
	p.mu.Lock()
	isNot := p.waiting[pid] || len(p.waiting) >= maxWaiting
	p.mu.Unlock()
	if isNot {
		return nil
	}
	answer := make(chan *one, 1)
	go func() {
		var o *one
		panics.Catch(context.Background(), "look at a process", func() { o = ask() })
		p.mu.Lock()
		delete(p.waiting, pid)
		answer <- o
		p.mu.Unlock()
	}()
	timer := time.NewTimer(answerLimit)
	defer timer.Stop()
	select {
	case o := <-answer:
		return o
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case o := <-answer: // just now
		return o
	default:
	}
	if p.waiting == nil {
		p.waiting = map[int]bool{}
	}
	p.waiting[pid] = true
	return nil
}
