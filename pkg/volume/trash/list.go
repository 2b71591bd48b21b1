// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"errors"
	"io/fs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// TrashEntries returns what is in the trash, the oldest first, and says what of it cannot be restored. What is
// wrong with an entry whose record cannot be read is in the error, beside the others.
func (s *Trash) TrashEntries() ([]store.TrashEntry, error) {
	entries, err := s.Entries("")
	errs := []error{err}
	for i := range entries {
		entries[i].Unrestorable, err = s.unrestorable(entries[i])
		errs = append(errs, s.Explain(err))
		errs = append(errs, s.Amend(&entries[i]))
	}
	return entries, errors.Join(errs...)
}

func (s *Trash) unrestorable(e store.TrashEntry) (string, error) {
	if e.Suffix == store.DoomedSuffix {
		return "it is being removed", nil
	}
	if err := e.Record.CheckWritable(); err != nil {
		return err.Error(), nil //nolint:nilerr // that is the answer
	}
	if reason, err := s.hasSuccessor(e); reason != "" || err != nil {
		return reason, err
	}
	switch {
	case !e.Moved:
		err := s.CheckInPlace(e.Record)
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, volume.ErrForeign)) && !s.MayStillMove(e) {
			return "its data is gone", nil
		}
		return "", nil
	case e.Suffix == store.BackSuffix:
		return "", nil // its place is made already, perhaps
	}
	free, err := s.IsFree(e.Record.Path)
	if err == nil && !free {
		return "something is in its place, " + e.Record.Path, nil
	}
	return "", err
}

// hasSuccessor says which volume is there instead of an entry's.
func (s *Trash) hasSuccessor(e store.TrashEntry) (string, error) {
	have, err := s.Get(e.Record.ID)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case have.Stamp() != e.Record.Stamp():
		return "a volume of its name is there again", nil
	case !e.IsNewerThan(have):
		return "it has been restored", nil
	}
	return "", nil
}
