// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"time"
)

const (
	// repairInterval is how long after a round that repaired something, and after a death or a change of the host's
	// mounts, dead mounts are looked for again: a container that was starting may have kept one.
	repairInterval = 10 * time.Second
	// maxInterval is how long at most nothing is looked for. A round reads the mounts of all namespaces of the host while
	// a dead mount is left anywhere, and on kernels before 6.5 one is left beneath each that was repaired until its pod
	// ends. What could be new comes with a change of the host's mounts, but for a container that makes mounts of its own.
	maxInterval = 10 * time.Minute
	// waitingInterval is maxInterval while mounts wait for a client or its answer, which nobody tells.
	waitingInterval = time.Minute
)

// pace is how far apart the rounds are that nothing else has brought about.
type pace struct {
	shortest, longest time.Duration
	distance          time.Duration // from the round before; 0 if that was told to be followed soon
	due               time.Time
}

func newPace() pace { return pace{shortest: repairInterval, longest: maxInterval} }

// ended is for a round that has ended at this moment: one that changed nothing is followed after twice the time.
func (p *pace) ended(repaired, waiting bool) {
	p.distance = max(2*p.distance, p.shortest)
	if repaired {
		p.distance = p.shortest
	}
	p.distance = min(p.distance, p.longest)
	if waiting {
		p.distance = min(p.distance, max(p.shortest, waitingInterval))
	}
	p.due = time.Now().Add(p.distance)
}

// changed is for a change of the host's mounts: a round is due soon, however many changes follow.
func (p *pace) changed() {
	p.distance = 0
	p.notAfter(time.Now().Add(p.shortest))
}

// died is for a client that ended or came, which is followed by a round at once.
func (p *pace) died() { p.distance = 0 }

// notAfter makes the next round due at this time at the latest.
func (p *pace) notAfter(t time.Time) {
	if t.Before(p.due) {
		p.due = t
	}
}
