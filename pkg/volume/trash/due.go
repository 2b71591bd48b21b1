// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// isDue says whether the reaper may remove an entry: when its time has come by its stamp and by what it says of its
// keeping, whoever deleted it, and this process has seen it for a while. A clock that is not known to be right counts
// for nothing. The retention is for what says nothing (TestEachReaperObeysWhoDeleted).
func (s *Trash) isDue(e store.TrashEntry, retention time.Duration) bool {
	age := s.Memory.Trash.Age(e.Name)
	keep := e.Due(retention).Sub(e.Deleted)
	return age >= keep || age >= min(keep, s.Abandoned) && !volume.Now().Before(e.Deleted.Add(keep)) && s.IsClockRight()
}

// mayGoForSpace says whether the reaper may remove an entry before it is due: nobody shortens the time of what another
// Kubernetes cluster deleted (TestOnlyWhoDeletedItShortensItsTime).
func (s *Trash) mayGoForSpace(e store.TrashEntry) bool {
	return !s.isFresh(e) && !volume.IsOthers(e.Kubernetes(), s.Kubernetes)
}

// isFresh says of an entry whether it was deleted so lately that it must not go for space. Where the stamp cannot be
// trusted, what this process has seen counts.
func (s *Trash) isFresh(e store.TrashEntry) bool {
	if s.Memory.Trash.Age(e.Name) >= s.Earliest {
		return false
	}
	return !s.IsClockRight() || volume.Now().Sub(e.Deleted) < s.Earliest
}
