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
