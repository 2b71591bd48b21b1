// SPDX-License-Identifier: Apache-2.0

// Package ages tells for how long this process has known of something, by its monotonic clock. A stamp is of the clock
// of whoever made it, and the two may be days apart: a Pi has no clock before it has asked the network for the time.
package ages

import (
	"sync"
	"time"
)

// Sightings are since when this process has known of names. The zero value is one that knows none; many may use it at
// once.
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

// Older are the names that this process has known for so long.
func (s *Sightings) Older(age time.Duration) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, first := range s.first {
		if time.Since(first) >= age {
			names = append(names, name)
		}
	}
	return names
}

// Forget forgets a name.
func (s *Sightings) Forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.first, name)
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

// Unchanged are since when this process has seen things as they are. The zero value is one that has seen none; many may
// use it at once.
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

// Keep forgets all but these things.
func (u *Unchanged) Keep(names map[string]bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name := range u.of {
		if !names[name] {
			delete(u.of, name)
		}
	}
}
