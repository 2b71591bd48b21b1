// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// A record is in two places, or in two versions, when a server has lost what it had done and not written to its disk:
// GlusterFS brings back what one brick still has. Its generation says which counts, and the other goes.
//
// A restored volume has a record of its own, whose generation is one more than that of the entry. A deletion moves the
// record, and must not need space: so of the same generation the one in the trash is newer, unless the entry is just
// being restored (by a driver that does not raise it).

// settle looks whether there is a record of an entry's volume beside the entry. It says whether that is newer, so that
// the volume has been restored; an older one is removed.
func (s *Trash) settle(e store.TrashEntry) (restored bool, err error) {
	f, err := s.Find(e.Record.ID)
	if err != nil || f.State != store.Ready || f.Record.Stamp() != e.Record.Stamp() {
		return false, err
	}
	if !e.IsNewerThan(f.Record) {
		return true, nil
	}
	return false, s.removeOlder(f, e)
}

// removeOlder removes a record that is older than a trash entry. It is moved aside first and looked at then.
func (s *Trash) removeOlder(f store.Lookup, e store.TrashEntry) error {
	creating, err := s.EnsureShard(owndir.CreatingDir, f.Record.ID)
	if err != nil {
		return err
	}
	b := creation.HalfMade{File: owndir.File{Dir: creating, Name: f.Record.Stamp() + store.RevokedSuffix}, ID: f.Record.ID, Stamp: f.Record.Stamp()}
	if err := s.MoveRecord(owndir.File{Dir: f.Dir, Name: f.Record.ID + store.RecordSuffix}, b.File); err != nil {
		return volume.IgnoreNotExist(err)
	}
	moved, err := s.FindIn(creating, b.Name)
	if err != nil || moved.State == store.Absent {
		return err
	}
	if moved.State != store.Ready || moved.Record.Stamp() != e.Record.Stamp() || !e.IsNewerThan(moved.Record) {
		return s.Creations.ReturnRecord(b, moved.Record)
	}
	if err := creating.Unlink(b.Name); err != nil {
		return volume.IgnoreNotExist(err)
	}
	return nil
}

// SettleRepeated removes what a deletion has left that was repeated when one brick had forgotten that it had begun: its
// record, under the name of another entry, which has no data (TestADeletionThatABrickForgotHadBegunLeavesOneEntry).
func (s *Trash) SettleRepeated(entries []store.TrashEntry, alone func(id string, do func() error)) {
	withData := map[string]store.TrashEntry{} // by the stamp of the volume
	for _, e := range entries {
		if e.Moved {
			withData[e.Record.Stamp()] = e
		}
	}
	for _, e := range entries {
		other, twice := withData[e.Record.Stamp()]
		if e.Moved || !twice {
			continue
		}
		alone(e.Record.ID, func() error {
			name, kept := e.RecordFile(), other.RecordFile()
			if isOne, err := owndir.IsOneFile(name, kept); err != nil || !isOne {
				return err
			}
			return s.DropName(name, kept)
		})
	}
}
