// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// slotState is the state of one slot in this process. Its zero value is empty. Each method is one step, or looks.
//
//	        runningOrAttempt            endAttempt, with a client
//	empty ────────────────────► starting ───────────────────────► running
//	 ▲ ▲ ▲                         │                               │   │
//	 │ │ └─────────────────────────┘                               │   │ its process ends
//	 │ │   endAttempt, with an error                               │   ▼
//	 │ └───────────────────────────────────────────────────────────┘  dead
//	 │          removeIdle, releaseIdle, drop                          │
//	 └─────────────────────────────────────────────────────────────────┘
//	                      drop, dropDead, runningOrAttempt
//
// offer leads from empty or dead to running, for a client that was found without an attempt, and replace from running to
// running. What becomes of a dead
// client's mount does not depend on the slot, which may have the next client already: see Lock.Keep of package
// statedir.
type slotState struct {
	attempt *attempt    // starting; then there is no client
	client  slotClient  // running or dead
	deaths  int         // all of them
	recent  []time.Time // when those of the last ten minutes were
}

// slotClient is a slot's client and its use. Its zero value is none.
type slotClient struct {
	*Client

	users *statedir.Users
	used  time.Time // when Ensure returned it last, or the last hold ended
	holds int
}

func (c *slotClient) isRunning() bool { return c.Client != nil && !c.HasEnded() }

// latest is the client that runs or is dead, or nil.
func (s *slotState) latest() *Client { return s.client.Client }

// hasNoClient says that the slot is empty, or its client dead.
func (s *slotState) hasNoClient() bool { return s.attempt == nil && !s.client.isRunning() }

// clear empties the slot. The process is watched until its end, as a child must be reaped.
func (s *slotState) clear() {
	if s.client.Client != nil {
		s.client.prober.Close()
		s.client.users.Close()
	}
	s.client = slotClient{}
}

// runningOrAttempt returns the running client, or the attempt that may bring one: the one under way, or a new one.
func (s *slotState) runningOrAttempt(begin func() *attempt) (c *Client, a *attempt, isNew bool) {
	if s.client.isRunning() {
		s.client.used = time.Now()
		return s.client.Client, nil, false
	}
	s.clear()
	if s.attempt == nil {
		s.attempt, isNew = begin(), true
	}
	return nil, s.attempt, isNew
}

// endAttempt ends the attempt under way, by which c was found or started, or none.
func (s *slotState) endAttempt(c *Client, users *statedir.Users) {
	s.attempt = nil
	if c != nil {
		s.client = slotClient{Client: c, users: users, used: time.Now()}
	}
}

// offer makes c the slot's client, and returns false if it has one or an attempt is under way.
func (s *slotState) offer(c *Client, users *statedir.Users) bool {
	if !s.hasNoClient() {
		return false
	}
	s.clear()
	s.client = slotClient{Client: c, users: users, used: time.Now()}
	return true
}

// replace makes another the slot's client if c is still it. Users of the slot are users of both.
func (s *slotState) replace(c, by *Client) {
	if s.client.Client == c {
		c.prober.Close()
		s.client = slotClient{Client: by, users: s.client.users, used: time.Now()}
	}
}

// drop empties the slot if c is still its client.
func (s *slotState) drop(c *Client) {
	if s.client.Client == c {
		s.clear()
	}
}

// dropDead empties the slot unless its client runs.
func (s *slotState) dropDead() {
	if !s.client.isRunning() {
		s.clear()
	}
}

// close empties the slot and stops watching its client. Detached ones are still watched: they are about to end.
func (s *slotState) close() {
	if s.client.Client != nil {
		s.client.process.Forget()
	}
	s.clear()
}

// hold counts one user of c more, and release one less.
func (s *slotState) hold(c *Client) {
	if s.client.Client == c {
		s.client.holds++
	}
}

func (s *slotState) release(c *Client) {
	if s.client.Client == c {
		s.client.holds--
		s.client.used = time.Now()
	}
}

// countDeath counts a client that has ended.
func (s *slotState) countDeath(at time.Time) {
	s.deaths++
	s.recent = slices.DeleteFunc(append(s.recent, at), func(t time.Time) bool { return at.Sub(t) >= recently })
}

func (s *slotState) countedDeaths() Deaths { return Deaths{All: s.deaths, Recent: len(s.recent)} }

// guarded is a value that can be reached only under its lock: what a method of T may rely on needs no word.
type guarded[T any] struct {
	mu    sync.Mutex
	value T
}

// with takes one step under the lock. A step waits for nothing.
func (g *guarded[T]) with(step func(*T)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	step(&g.value)
}

// from is with for a step that has a result.
func from[T, R any](g *guarded[T], step func(*T) R) (result R) {
	g.with(func(value *T) { result = step(value) })
	return result
}
