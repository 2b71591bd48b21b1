// SPDX-License-Identifier: Apache-2.0

package tree

import "slices"

const (
	// namesKept bounds the names of subdirectories that a walk keeps until it comes to them, in bytes. A directory may have
	// a namesShare-th of what is left, and namesLeast bytes in any case.
	namesKept  = 64 << 20
	namesShare = 4
	namesLeast = 512
)

// sizeOf is about what keeping a name takes.
func sizeOf(name string) int64 { return int64(len(name)) + 24 }

// selection takes the names of a directory's subdirectories in any order and keeps those that fit into limit bytes: all, or
// the first in the order of their names that come after the given one. So the rest is had by reading again, however
// many they are, and whatever is made or removed meanwhile.
type selection struct {
	after string
	limit int64

	kept  []string
	size  int64
	cut   bool
	bound string // what comes after it was left out, where cut
}

func (s *selection) add(name string) {
	if name <= s.after || s.cut && name > s.bound {
		return
	}
	s.kept = append(s.kept, name)
	if s.size += sizeOf(name); s.size > 2*s.limit {
		s.trim()
	}
}

// trim keeps one name at least, so that each reading gets further.
func (s *selection) trim() {
	slices.Sort(s.kept)
	s.kept = slices.Compact(s.kept)
	s.size = 0
	for i, name := range s.kept {
		if s.size += sizeOf(name); i > 0 && s.size > s.limit {
			s.size -= sizeOf(name)
			clear(s.kept[i:])
			s.kept = s.kept[:i]
			s.cut, s.bound = true, s.kept[i-1]
			break
		}
	}
}

// names returns what was kept, sorted if something was left out.
func (s *selection) names() (names []string, cut bool) {
	if s.cut || s.size > s.limit {
		s.trim()
	}
	return s.kept, s.cut
}
