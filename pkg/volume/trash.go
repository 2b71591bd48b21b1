// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"io/fs"
)

// TrashEntries returns what is in the trash, the oldest first, and says what of it cannot be restored. What is
// wrong with an entry whose record cannot be read is in the error, beside the others.
func (s *Store) TrashEntries() ([]TrashEntry, error) {
	entries, err := s.entries("")
	errs := []error{err}
	for i := range entries {
		entries[i].Unrestorable, err = s.unrestorable(entries[i])
		errs = append(errs, s.explain(err))
		entries[i].Record, err = s.current(entries[i].Record)
		errs = append(errs, err)
	}
	return entries, errors.Join(errs...)
}

func (s *Store) unrestorable(e TrashEntry) (string, error) {
	if e.suffix == doomedSuffix {
		return "it is being removed", nil
	}
	if err := e.Record.writable(); err != nil {
		return err.Error(), nil //nolint:nilerr // that is the answer
	}
	if reason, err := s.hasSuccessor(e); reason != "" || err != nil {
		return reason, err
	}
	switch {
	case !e.moved:
		err := s.isThere(e.Record)
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign)) && !s.underWay(e) {
			return "its data is gone", nil
		}
		return "", nil
	case e.suffix == backSuffix:
		return "", nil // its place is made already, perhaps
	}
	free, err := s.isFree(e.Record.Path)
	if err == nil && !free {
		return "something is in its place, " + e.Record.Path, nil
	}
	return "", err
}

// hasSuccessor says which volume is there instead of an entry's.
func (s *Store) hasSuccessor(e TrashEntry) (string, error) {
	have, err := s.Get(e.Record.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case have.stamp() != e.Record.stamp():
		return "a volume of its name is there again", nil
	case !e.isNewerThan(have):
		return "it has been restored", nil
	}
	return "", nil
}
