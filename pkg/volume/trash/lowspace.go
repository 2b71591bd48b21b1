// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// lowSpace is the part of the Gluster volume, of its bytes and of its inodes, that must be free, lest the oldest trash
// goes before its time.
const lowSpace = 0.05

// nearlyLow is the part of the Gluster volume that must be free, lest it is told that the trash goes before its time
// soon.
const nearlyLow = 0.10

// tellLow tells what trash goes next, of what is not due, where space is nearly low.
func (s *Trash) tellLow(kept []store.TrashEntry) {
	if s.remembered.Low == nil || len(kept) == 0 || kept[0].Name == s.remembered.toldLow {
		return
	}
	if free, err := s.FreePart(); err != nil || free >= nearlyLow {
		return
	}
	next, err := s.ReadEntry(kept[0].RecordFile())
	if err != nil {
		return // it is restored or reaped just now
	}
	s.remembered.toldLow = kept[0].Name
	s.remembered.Low(Low{Next: next, Waiting: len(kept)})
}

// low says whether space is.
func (s *Trash) low() (bool, error) {
	free, err := s.FreePart()
	return err == nil && free < lowSpace, err
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
