// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// seen remembers since when this process has known of something, by its monotonic clock. A stamp is of the clock of
// whoever made it, and the two may be days apart: a Pi has no clock before it has asked the network for the time.
type seen struct {
	mu    sync.Mutex
	first map[string]time.Time
}

// age is how long ago this process saw the name first; 0 where that is now.
func (s *seen) age(name string) time.Duration {
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

// keep forgets all but these names.
func (s *seen) keep(names map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.first {
		if !names[name] {
			delete(s.first, name)
		}
	}
}

// sightings are what is seen of one Gluster volume, and what is shared by those who see it.
type sightings struct {
	creations, trash, paths, attributes, asides seen
	onDelete                                    noted
	flat                                        emptied
	limits                                      limited
	committer                                   *commit.Committer
	// commit is the committer's, and blocks as long as GlusterFS does, as all of a store does.
	commit func(root *safepath.Dir) error
	live   live
	freed  freed
}

func newSightings() *sightings {
	c := commit.New()
	return &sightings{committer: c, commit: func(root *safepath.Dir) error { return c.Commit(context.Background(), root) }}
}

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

// noted remembers what the records of trash entries say to the reaper: neither a record nor what was changed
// of a volume changes there, and the trash may have 100,000 entries.
type noted struct {
	mu sync.Mutex
	of map[string]OnDelete // by the entry's name
}

func (n *noted) get(name string) (OnDelete, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	onDelete, known := n.of[name]
	return onDelete, known
}

func (n *noted) put(name string, onDelete OnDelete) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]OnDelete{}
	}
	n.of[name] = onDelete
}

// keep forgets all but these names.
func (n *noted) keep(names map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.of, func(name string, _ OnDelete) bool { return !names[name] })
}

// isClockRight says whether the kernel believes that its clock is (adjtimex(2), STA_UNSYNC).
func isClockRight() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// mayGoOn says of what was begun at the time in a stamp, and has not changed since, whether who began it may still be
// at it: not once this process has seen it for a while, or it is old by a clock that cannot be that wrong.
func (s *Store) mayGoOn(of *seen, stamp string) bool {
	_, begun, isStamped := parseStamp(stamp)
	return of.age(stamp) < s.recent && (!isStamped || time.Since(begun) <= s.abandoned)
}

// isAbandoned says of the same whether nobody has taken it up for so long that the reconciler does.
func (s *Store) isAbandoned(of *seen, stamp string) bool { return of.age(stamp) >= s.abandoned }
