// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Restore.
const (
	stepTaken    = "restore: entry taken"
	stepPathBack = "restore: path claimed"
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
	if errors.Is(err, unix.ENOSPC) { // not the cure of every other: the entry is what must not be purged
		return Record{}, fmt.Errorf("restore %s on %s: %w: %w; free space on its bricks, or purge other trash entries: this one is as it was, and `glusterfs-csi trash hold` keeps it",
			name, s.volume, err, ErrNoSpace)
	}
	if err != nil {
		return Record{}, s.explain(fmt.Errorf("restore %s on %s: %w", name, s.volume, err))
	}
	return e.Record, nil
}

func (s *Store) restore(e *TrashEntry) error {
	if err := e.Record.writable(); err != nil {
		return err
	}
	if done, err := s.settleRestored(*e); done || err != nil {
		return err
	}
	held := e.Held()
	switch {
	case e.suffix == doomedSuffix || s.underWay(*e):
		return fmt.Errorf("it is just being moved or removed: %w", ErrBusy)
	case e.suffix == recordSuffix || held:
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
	if err := s.bringBack(trash, e.Record, e.Name); err != nil {
		err = errors.Join(err, s.giveUpRestore(trash, *e))
		if held { // a kill before this makes it an entry like any other
			err = errors.Join(err, s.Hold(e.Name))
		}
		return err
	}
	if err := ignoreNotExist(trash.Unlink(e.Name + backSuffix)); err != nil {
		return err
	}
	s.step(stepForgot)
	return nil
}

// bringBack moves the data back, and makes the volume ready.
func (s *Store) bringBack(trash *safepath.Dir, r Record, entry string) error {
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
	case err != nil && ignoreNotExist(err) == nil: // another process has finished it
		_, err = s.Get(r.ID)
	}
	s.step(stepBack)
	return err
}

// moveBack renames the data onto an empty directory made for it at a path that was free and is claimed, so that
// nothing that is in the place can be replaced.
func (s *Store) moveBack(trash *safepath.Dir, r Record, entry string) error {
	absent, err := missing(trash, entry)
	if err != nil {
		return err
	}
	if !absent {
		err = s.makePlace(r, entry)
		if err == nil {
			err = s.moveOnto(trash, r, entry)
		}
		if err != nil {
			return err
		}
	}
	err = s.isThere(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign) {
		// The volume's directory was gone before it was deleted.
		return fmt.Errorf("its data is gone: %w", ErrNotFound)
	}
	return err
}

// makePlace makes an empty directory where the volume was, or finds the one that an earlier attempt has made.
func (s *Store) makePlace(r Record, entry string) error {
	held, err := s.takePlace(r.ID, holder{stamp: r.stamp(), entry: entry, path: r.Path})
	if err != nil {
		return err
	}
	switch {
	case held.stamp == r.stamp() && held.entry == entry:
	case held.stamp == r.stamp():
		return fmt.Errorf("something is at %s on %s: %w: look who put it there, and move it away", r.Path, s.volume, ErrForeign)
	default:
		return fmt.Errorf("directory %s on %s belongs to volume %s now: %w: move that volume's data, or restore this one elsewhere by hand",
			r.Path, s.volume, stampedID(held.stamp), ErrForeign)
	}
	s.step(stepPathBack)
	return s.afresh(r.Path, func() error {
		parent, err := s.makeParents(r.Path, r.stamp())
		if err != nil {
			return err
		}
		defer parent.Close()
		if err := ignoreExist(parent.Mkdir(path.Base(r.Path), newMode)); err != nil {
			return err
		}
		s.step(stepPlaced)
		return nil
	})
}

func (s *Store) moveOnto(trash *safepath.Dir, r Record, entry string) error {
	parent, last, err := s.split(r.Path)
	if err != nil {
		return err
	}
	defer parent.Close()
	// Another process may be faster, which shows in what is there.
	err = ignoreNotExist(rename(trash, entry, parent, last))
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR) {
		err = fmt.Errorf("%w: %w: look who put something at %s, and move it away", err, ErrForeign, r.Path)
	}
	if err != nil {
		return err
	}
	s.step(stepReturned)
	return nil
}

// giveUpRestore makes a trash entry again of one that could not be restored, unless another process
// has done better.
func (s *Store) giveUpRestore(trash *safepath.Dir, e TrashEntry) error {
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
		err = s.removeEmpty(e.Record, e.Name) // the place that was made for it
	}
	e.moved = !absent
	isOf := heldBy(e.Record.stamp())
	releaseErr := s.releasePath(e.Record.Path, func(h holder) bool { return isOf(h) && h.entry == e.Name })
	return errors.Join(err, s.follow(e), releaseErr)
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
