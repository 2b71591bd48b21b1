// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"time"
)

// isDue says whether the reaper may remove an entry: when its time has come by its stamp, and this process has seen it
// for a while. A clock that is not known to be right counts for nothing.
func (s *Store) isDue(e TrashEntry, retention time.Duration) bool {
	age := s.memory.trash.age(e.Name)
	keep := e.Due(retention).Sub(e.Deleted)
	return age >= keep || age >= min(keep, s.abandoned) && !now().Before(e.Deleted.Add(keep)) && s.isClockRight()
}

// isFresh says of an entry whether it was deleted so lately that it must not go for space. Where the stamp cannot be
// trusted, what this process has seen counts.
func (s *Store) isFresh(e TrashEntry) bool {
	if s.memory.trash.age(e.Name) >= s.earliest {
		return false
	}
	return !s.isClockRight() || now().Sub(e.Deleted) < s.earliest
}
