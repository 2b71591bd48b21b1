// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Restore.
const (
	stepTaken    = "restore: entry taken"
	stepPlaced   = "restore: place made"
	stepReturned = "restore: data moved back"
	stepBack     = "restore: ready"
	stepForgot   = "restore: trash entry removed"
	stepPutBack  = "restore: given up"
)

// Restore puts a trash entry back where it was and returns its record. Errors:
// ErrNotFound, ErrIncompatible (a volume of that ID exists again), ErrForeign (its
// place is taken) and ErrBusy (it is just being deleted or removed). Interrupted, it is
// finished by its repetition.
func (s *Store) Restore(name string) (Record, error) {
	e, err := s.entry(name)
	if err == nil {
		err = s.restore(&e)
	}
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w: see `glusterfs-csi trash list`", err)
	}
	if err != nil {
		return Record{}, explain(fmt.Errorf("restore %s on %s: %w", name, s.volume, err))
	}
	return e.Record, nil
}

func (s *Store) restore(e *TrashEntry) error {
	switch {
	case e.suffix == doomedSuffix || s.underWay(*e):
		return fmt.Errorf("it is just being moved or removed: %w", ErrBusy)
	case e.suffix == recordSuffix:
		if err := s.follow(*e); err != nil {
			return err
		}
		if err := s.advance(e, backSuffix); err != nil {
			return err
		}
	}
	s.step(stepTaken)
	trash, err := s.dir(trashDir)
	if err != nil {
		return err
	}
	if err := s.takeBack(trash, e.Record, e.Name); err != nil {
		return errors.Join(err, s.putBack(trash, *e))
	}
	if err := gone(trash.Unlink(e.Name + backSuffix)); err != nil {
		return err
	}
	s.step(stepForgot)
	return nil
}

// takeBack moves the data back, and makes the volume ready.
func (s *Store) takeBack(trash *safepath.Dir, r Record, entry string) error {
	have, err := s.Get(r.ID)
	if err == nil && !have.Created.Equal(r.Created) {
		return fmt.Errorf("a volume %s is there: %w; delete it first", r.ID, ErrIncompatible)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := s.moveBack(trash, r, entry); err != nil {
		return err
	}
	err = s.becomeReady(r, trash, entry+backSuffix)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("a volume %s was made meanwhile: %w; delete it first", r.ID, ErrIncompatible)
	case err != nil && gone(err) == nil: // another process has finished it
		_, err = s.Get(r.ID)
	}
	s.step(stepBack)
	return err
}

// moveBack renames the data onto an empty directory made for it, so that nothing that
// is in the place can be replaced.
func (s *Store) moveBack(trash *safepath.Dir, r Record, entry string) error {
	if absent, err := missing(trash, entry); err != nil {
		return err
	} else if !absent {
		place, mark, err := s.makeLast(r)
		if err != nil {
			return err
		}
		defer place.Close()
		if mark != "" && mark != r.mark() {
			return s.foreign(place, r.ID, mark)
		}
		s.step(stepPlaced)
		parent, last, err := s.split(r.Path)
		if err != nil {
			return err
		}
		defer parent.Close()
		// Another process may be faster, which shows below.
		if err := gone(trash.Rename(entry, parent, last)); err != nil {
			return err
		}
		s.step(stepReturned)
	}
	parent, _, err := s.ownDirectory(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign) {
		// The volume's directory was gone before it was deleted.
		return fmt.Errorf("its data is gone: %w", ErrNotFound)
	}
	if err == nil {
		parent.Close()
	}
	return err
}

// putBack makes a trash entry again of one that could not be restored, unless another process
// has done better.
func (s *Store) putBack(trash *safepath.Dir, e TrashEntry) error {
	// First, so that nobody makes the volume ready while its data goes back.
	if err := s.advance(&e, recordSuffix); errors.Is(err, ErrBusy) {
		return nil
	} else if err != nil {
		return err
	}
	s.step(stepPutBack)
	absent, err := missing(trash, e.Name)
	if err != nil {
		return err
	}
	if !absent {
		err = s.removeEmpty(e.Record) // the place that was made for it
	}
	e.moved = !absent
	return errors.Join(err, s.follow(e))
}

func missing(dir *safepath.Dir, name string) (bool, error) {
	found, err := dir.Entry(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	found.Close()
	return false, nil
}
