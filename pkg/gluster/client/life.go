// SPDX-License-Identifier: Apache-2.0

package client

import (
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// life is the state of one slot in this process. Its zero value is empty.
//
//	         runningOrAttempt            endAttempt, with a client
//	empty ─────────────────────► starting ─────────────────────► running
//	 ▲ ▲ ▲                          │                             │   │
//	 │ │ │   endAttempt, with an error                            │   │ its process ends
//	 │ │ └──────────────────────────┘     giveUp, releaseIdle     │   ▼
//	 │ └──────────────────────────────────────────────────────────┘  dead
//	 └────────────────────────────────────────────────────────────────┘
//	                      drop, dropDead, runningOrAttempt
//
// offer leads from empty or dead to running, for a client that was found without an attempt. What becomes of a dead client's mount does
// not depend on the slot, which may have the next client already: see Lock.Keep of package statedir.
//
// Each method is one step, under the lock that guards all that is in here; none waits for anything.
type life struct {
	mu      sync.Mutex
	attempt *attempt // starting; then there is no client
	tenant  tenant   // running or dead
	deaths  Deaths
}

// tenant is a slot's client and its use. Its zero value is none.
type tenant struct {
	client *Client
	users  *statedir.Users
	used   time.Time // when Ensure returned it last, or the last hold ended
	holds  int
}

func (t *tenant) isRunning() bool { return t.client != nil && !t.client.process.HasExited() }

// vacate empties the slot. The process is watched until its end, as a child must be reaped. The caller has mu.
func (l *life) vacate() {
	if l.tenant.client != nil {
		l.tenant.client.meta.Close()
		l.tenant.users.Close()
	}
	l.tenant = tenant{}
}

// client is the one that runs or is dead, or nil.
func (l *life) client() *Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tenant.client
}

// isVacant says that the slot is empty, or its client dead.
func (l *life) isVacant() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attempt == nil && !l.tenant.isRunning()
}

// runningOrAttempt returns the running client, or the attempt that may bring one: the one under way, or a new one.
func (l *life) runningOrAttempt(begin func() *attempt) (c *Client, a *attempt, isNew bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenant.isRunning() {
		l.tenant.used = time.Now()
		return l.tenant.client, nil, false
	}
	l.vacate()
	if l.attempt == nil {
		l.attempt, isNew = begin(), true
	}
	return nil, l.attempt, isNew
}

// endAttempt ends the attempt under way, and gives those who wait for it its outcome.
func (l *life) endAttempt(a *attempt, c *Client, users *statedir.Users, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(a.done)
	l.attempt = nil
	if err != nil {
		a.err = err
		return
	}
	a.client = c
	l.tenant = tenant{client: c, users: users, used: time.Now()}
}

// offer makes c the slot's client, and returns false if it has one or an attempt is under way.
func (l *life) offer(c *Client, users *statedir.Users) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.attempt != nil || l.tenant.isRunning() {
		return false
	}
	l.vacate()
	l.tenant = tenant{client: c, users: users, used: time.Now()}
	return true
}

// drop empties the slot if c is still its client.
func (l *life) drop(c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenant.client == c {
		l.vacate()
	}
}

// dropDead empties the slot unless its client runs.
func (l *life) dropDead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.tenant.isRunning() {
		l.vacate()
	}
}

// close empties the slot and stops watching its client. Detached ones are still watched: they are about to end.
func (l *life) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenant.client != nil {
		l.tenant.client.process.Forget()
	}
	l.vacate()
}

// hold counts one user of c more, and release one less.
func (l *life) hold(c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenant.client == c {
		l.tenant.holds++
	}
}

func (l *life) release(c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenant.client == c {
		l.tenant.holds--
		l.tenant.used = time.Now()
	}
}

// isUnused says whether there is a client that nobody has held for the time of grace, as far as this process knows.
func (l *life) isUnused(grace time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tenant.isUnused(grace)
}

func (t *tenant) isUnused(grace time.Duration) bool {
	return t.client != nil && t.holds == 0 && time.Since(t.used) >= grace
}

// isIdle says that nobody has used the client for the time of grace and that it is mounted nowhere else. A mount is a use. The caller
// has mu.
func (l *life) isIdle(entries []mount.Entry, grace time.Duration) bool {
	if !l.tenant.isUnused(grace) {
		return false
	}
	if isBound(entries, l.tenant.client) {
		l.tenant.used = time.Now()
		return false
	}
	return true
}

// giveUp empties the slot and returns the client that was in it, or nil if it is in use, by another process too. Nobody else becomes a
// user of it until users are closed. The caller has the slot's Lock.
func (l *life) giveUp(entries []mount.Entry, grace time.Duration) (c *Client, users *statedir.Users, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isIdle(entries, grace) {
		return nil, nil, nil
	}
	if alone, err := l.tenant.users.TryAlone(); err != nil || !alone {
		return nil, nil, err
	}
	c, users = l.tenant.client, l.tenant.users
	l.tenant.users = nil
	l.vacate()
	return c, users, nil
}

// releaseIdle stops being a user of an idle client, so that the mounter may detach it.
func (l *life) releaseIdle(entries []mount.Entry, grace time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isIdle(entries, grace) {
		l.tenant.client.process.Forget()
		l.vacate()
	}
}

// countDeath counts a client that has ended, and whether that was early.
func (l *life) countDeath(early bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaths.All++
	if l.deaths.Young++; !early {
		l.deaths.Young = 0
	}
}

func (l *life) countedDeaths() Deaths {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deaths
}
