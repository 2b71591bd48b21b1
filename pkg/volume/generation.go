// SPDX-License-Identifier: Apache-2.0

package volume

// A record is in two places, or in two versions, when a server has lost what it had done and not written to its disk:
// GlusterFS brings back what one brick still has. Its generation says which counts, and the other goes.
//
// A restored volume has a record of its own, whose generation is one more than that of the entry. A deletion moves the
// record, and must not need space: so of the same generation the one in the trash is newer, unless the entry is just
// being restored (by a driver that does not raise it).

// settle looks whether there is a record of an entry's volume beside the entry. It says whether that is newer, so that the
// volume has been restored; an older one is removed.
func (s *Store) settle(e TrashEntry) (restored bool, err error) {
	f, err := s.look(e.Record.ID)
	if err != nil || f.state != ready || f.record.stamp() != e.Record.stamp() {
		return false, err
	}
	if !e.isNewerThan(f.record) {
		return true, nil
	}
	return false, s.removeOlder(f, e)
}

// removeOlder removes a record that is older than a trash entry. It is moved aside first and looked at then.
func (s *Store) removeOlder(f found, e TrashEntry) error {
	creating, err := s.home(creatingDir, f.record.ID)
	if err != nil {
		return err
	}
	b := begunFile{file: file{creating, f.record.stamp() + revokedSuffix}, id: f.record.ID, stamp: f.record.stamp()}
	if err := f.dir.Rename(f.record.ID+recordSuffix, creating, b.name); err != nil {
		return ignoreNotExist(err)
	}
	moved, err := s.lookIn(creating, b.name)
	if err != nil || moved.state == absent {
		return err
	}
	if moved.state != ready || moved.record.stamp() != e.Record.stamp() || !e.isNewerThan(moved.record) {
		return s.returnRecord(b, moved.record)
	}
	if err := creating.Unlink(b.name); err != nil {
		return ignoreNotExist(err)
	}
	return nil
}
