// SPDX-License-Identifier: Apache-2.0

package store

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// Sightings are since when this process has known of something, by its monotonic clock. A stamp is of the clock of
// whoever made it, and the two may be days apart: a Pi has no clock before it has asked the network for the time.
type Sightings struct {
	mu    sync.Mutex
	first map[string]time.Time
}

// Age is how long ago this process saw the name first; 0 where that is now.
func (s *Sightings) Age(name string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, known := s.first[name]
	if !known {
		if s.first == nil {
			s.first = map[string]time.Time{}
		}
		s.first[name] = time.Now()
		return 0
	}
	return time.Since(first)
}

// Keep forgets all but these names.
func (s *Sightings) Keep(names map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.first {
		if !names[name] {
			delete(s.first, name)
		}
	}
}

// Unchanged are since when this process has seen things as they are.
type Unchanged struct {
	mu sync.Mutex
	of map[string]unchanged
}

type unchanged struct {
	state string
	since time.Time
}

// For is for how long this process has seen a thing in the state that it is in; 0 where it sees that first.
func (u *Unchanged) For(name, state string) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen, known := u.of[name]
	if known && seen.state == state {
		return time.Since(seen.since)
	}
	if u.of == nil {
		u.of = map[string]unchanged{}
	}
	u.of[name] = unchanged{state, time.Now()}
	return 0
}

// Forget forgets a thing.
func (u *Unchanged) Forget(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.of, name)
}

// Memory is what a process remembers of one Gluster volume from one operation to the next: since when it knows of what
// is half done. It may be used by many at once.
type Memory struct {
	Creations, Trash, Paths, Strays, attributes, asides, makings Sightings

	// Leases are those of copies, by the copy's stamp; Asked is when somebody asked for a clone last.
	Leases, Asked Unchanged

	flat   emptied
	freed  freed
	commit func(mount *safepath.Dir) error
}

// NewMemory is that of a process that knows nothing. What was done is put on the disks of all bricks by commit, which
// gets the root of a client's mount and blocks as long as GlusterFS does.
func NewMemory(commit func(mount *safepath.Dir) error) *Memory { return &Memory{commit: commit} }

// emptied are the kinds of files of which none is left where all were before they were spread.
type emptied struct {
	mu    sync.Mutex
	kinds map[string]bool
}

func (e *emptied) isEmpty(kind string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kinds[kind]
}

func (e *emptied) set(kind string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kinds == nil {
		e.kinds = map[string]bool{}
	}
	e.kinds[kind] = true
}

// isClockRight says whether the kernel believes that its clock is (adjtimex(2), STA_UNSYNC).
func isClockRight() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// MayGoOn says of what was begun at the time in a stamp, and has not changed since, whether who began it may still be
// at it: not once this process has seen it for a while, or it is old by a clock that cannot be that wrong.
func (s *Store) MayGoOn(of *Sightings, stamp string) bool {
	_, begun, isStamped := volume.ParseStamp(stamp)
	return of.Age(stamp) < s.Recent && (!isStamped || time.Since(begun) <= s.Abandoned)
}

// IsAbandoned says of the same whether nobody has taken it up for so long that the reconciler does.
func (s *Store) IsAbandoned(of *Sightings, stamp string) bool { return of.Age(stamp) >= s.Abandoned }
