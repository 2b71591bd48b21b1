// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// isDue says whether the reaper may remove an entry: when its time has come by its stamp, and this process has seen it
// for a while. A clock that is not known to be right counts for nothing.
func (s *Trash) isDue(e store.TrashEntry, retention time.Duration) bool {
	age := s.Memory.Trash.Age(e.Name)
	keep := e.Due(retention).Sub(e.Deleted)
	return age >= keep || age >= min(keep, s.Abandoned) && !volume.Now().Before(e.Deleted.Add(keep)) && s.IsClockRight()
}

// isFresh says of an entry whether it was deleted so lately that it must not go for space. Where the stamp cannot be
// trusted, what this process has seen counts.
func (s *Trash) isFresh(e store.TrashEntry) bool {
	if s.Memory.Trash.Age(e.Name) >= s.Earliest {
		return false
	}
	return !s.IsClockRight() || volume.Now().Sub(e.Deleted) < s.Earliest
}
