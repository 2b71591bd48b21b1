// SPDX-License-Identifier: Apache-2.0

// Package permits bounds how many goroutines of a process are in system calls on Gluster volumes. Such a call blocks a
// thread of the operating system for as long as GlusterFS takes, no deadline ends it, and Go keeps every thread that it
// has once needed: without a bound a burst of calls leaves a thread for each (TestTwoThousandCallsAtOnceNeedFewThreads
// of pkg/driver). Whoever finds no permit waits, without a thread, and who has to be done first goes first.
//
// The bound is the process's, since its threads are. But a Gluster volume that hangs keeps its permits for as long as it
// hangs, and must not take the others' away. So one half of the permits is divided: every Gluster volume has an equal
// part of its own, one permit at least. The other half is had by whoever comes first. A Gluster volume that is alone in
// the clusters file may so have all of them; one of two, three quarters, and the other the last quarter at any time
// (TestAHungVolumeLeavesTheOthersTheirPart).
//
// Who has a permit may wait for another goroutine only if that one needs none (see Without): so a lock that is held for
// long is taken before the permit and never after it.
package permits

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// Default is how many permits a process has unless a flag says otherwise. A brick serves 16 requests at a time; with the
// threads that the process has for all else they stay below 120.
const Default = 64

const (
	// unhurried is when one has to be done who has no deadline: after those who wait for an answer now (the provisioner
	// does for 90 s), and before those who come when it has waited for so long. So neither starves.
	unhurried = 2 * time.Minute
	// turn is for how long a permit is kept by one who may give way. Some ten requests are made in that time.
	turn = 50 * time.Millisecond
)

// Pool is the permits of one process.
type Pool struct {
	limit  int
	listed func() []gluster.Volume

	mu    sync.Mutex
	lines map[gluster.Volume]*line // of those that have a permit, or wait for one
	came  uint64                   // how many have waited until now
}

// line is one Gluster volume's.
type line struct {
	held    int
	waiting waiters
}

// New returns a pool of so many permits, or of as many as there are Gluster volumes where those are more. listed says
// which there are now.
func New(limit int, listed func() []gluster.Volume) *Pool {
	return &Pool{limit: limit, listed: listed, lines: map[gluster.Volume]*line{}}
}

// Permit is one goroutine's. A nil one permits everything.
type Permit struct {
	pool     *Pool
	volume   gluster.Volume
	deadline time.Time // of the caller; zero if there is none
	since    time.Time

	otherFirst bool
}

// OtherFirst returns the permit for tests of what an interruption leaves: where Both does one thing after the other, it
// begins with the other (TestKilledAtEveryPoint of pkg/volume/lifecycle).
func (p *Permit) OtherFirst() *Permit {
	reversed := *p
	reversed.otherFirst = true
	return &reversed
}

// Acquire waits for a permit until ctx is done: then the error wraps the context's, and there is nothing to release.
// Of those who wait the one goes first whose context's deadline is the first.
func (p *Pool) Acquire(ctx context.Context, v gluster.Volume) (*Permit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("%s was not asked: %w", v, err)
	}
	permit := &Permit{pool: p, volume: v}
	permit.deadline, _ = ctx.Deadline()
	w := p.enter(permit, 0)
	select {
	case <-w.ready:
		permit.since = time.Now()
		return permit, nil
	case <-ctx.Done():
		return nil, p.leave(v, w, context.Cause(ctx))
	}
}

// enter lets one wait for a permit who gives back so many of them.
func (p *Pool) enter(permit *Permit, back int) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(permit.volume)
	l.held -= back
	p.came++
	w := &waiter{deadline: permit.dueBy(), came: p.came, ready: make(chan struct{})}
	heap.Push(&l.waiting, w)
	p.serve()
	return w
}

// leave takes one out of its line, with what it may have been given at this moment, and says what it waited for.
func (p *Pool) leave(v gluster.Volume, w *waiter, cause error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(v)
	held, all := l.held, 0
	for _, each := range p.lines {
		all += each.held
	}
	if w.index == served {
		l.held--
		p.serve()
	} else {
		heap.Remove(&l.waiting, w.index)
	}
	p.forget(v)
	return fmt.Errorf("%d operations of this process on %s, of %d in all, were before this one, which was not begun: try again; "+
		"if it stays so, see `gluster volume status %s`, and --max-operations: %w", held, v, all, v.Name, cause)
}

// dueBy is the caller's deadline as long as the caller waits.
func (p *Permit) dueBy() time.Time {
	if now := time.Now(); p.deadline.Before(now) {
		return now.Add(unhurried)
	}
	return p.deadline
}

// Release gives the permit back.
func (p *Permit) Release() {
	if p == nil {
		return
	}
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	p.pool.line(p.volume).held--
	p.pool.serve()
	p.pool.forget(p.volume)
}

// Another returns a permit for one more goroutine of the same work, if there is one that nobody waits for.
func (p *Permit) Another() (another *Permit, free bool) {
	if p == nil {
		return nil, true
	}
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	if !p.pool.shares().free(p.volume) {
		return nil, false
	}
	p.pool.line(p.volume).held++
	return &Permit{pool: p.pool, volume: p.volume, deadline: p.deadline, since: time.Now()}, true
}

// GiveWay is called between two system calls by whoever makes many. Where the permit was held for a while, and somebody
// waits who has to be done before, that one has it, and it comes back later.
func (p *Permit) GiveWay() {
	if p == nil || time.Since(p.since) < turn {
		return
	}
	<-p.pool.enter(p, 1).ready
	p.since = time.Now()
}

// Without calls wait while others have the permit, and returns, or panics as wait does, when it has come back.
func (p *Permit) Without(wait func()) {
	if p == nil {
		wait()
		return
	}
	p.Release()
	defer func() {
		<-p.pool.enter(p, 0).ready
		p.since = time.Now()
	}()
	wait()
}

// line returns a Gluster volume's line; p.mu is held.
func (p *Pool) line(v gluster.Volume) *line {
	l := p.lines[v]
	if l == nil {
		l = &line{}
		p.lines[v] = l
	}
	return l
}

// forget ends the line of a Gluster volume that nobody uses; p.mu is held.
func (p *Pool) forget(v gluster.Volume) {
	if l := p.lines[v]; l.held == 0 && len(l.waiting) == 0 {
		delete(p.lines, v)
	}
}

// serve gives permits to those who may have one, in the order of their deadlines; p.mu is held.
func (p *Pool) serve() {
	for {
		shares := p.shares()
		var next *line
		for v, l := range p.lines {
			if len(l.waiting) > 0 && shares.free(v) && (next == nil || l.waiting[0].before(next.waiting[0])) {
				next = l
			}
		}
		if next == nil {
			return
		}
		w, _ := heap.Pop(&next.waiting).(*waiter)
		next.held++
		close(w.ready)
	}
}

// shares is how the permits are divided at one moment.
type shares struct {
	held   map[gluster.Volume]int
	own    int // each Gluster volume's
	common int // of the other half, those that are left
}

// shares counts a Gluster volume that was taken out of the clusters file as long as it is in use; p.mu is held.
func (p *Pool) shares() shares {
	s := shares{held: map[gluster.Volume]int{}}
	for _, v := range p.listed() {
		s.held[v] = 0
	}
	for v, l := range p.lines {
		s.held[v] = l.held
	}
	n := max(1, len(s.held))
	s.own = max(1, p.limit/(2*n))
	s.common = p.limit - n*s.own
	for _, held := range s.held {
		s.common -= max(0, held-s.own)
	}
	return s
}

func (s shares) free(v gluster.Volume) bool { return s.held[v] < s.own || s.common > 0 }

// Count is what a Gluster volume has of the operations of this process.
type Count struct{ Running, Waiting int }

// Counts are those of the Gluster volumes that are in use, and of those that are listed.
func (p *Pool) Counts() map[gluster.Volume]Count {
	counts := map[gluster.Volume]Count{}
	for _, v := range p.listed() {
		counts[v] = Count{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for v, l := range p.lines {
		counts[v] = Count{l.held, len(l.waiting)}
	}
	return counts
}
