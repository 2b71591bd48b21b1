// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// The named points of Restore.
const (
	stepTaken    = "restore: entry taken"
	stepPathBack = "restore: path claimed"
	stepPlaced   = "restore: place made"
	stepReturned = "restore: data moved back"
	stepNamed    = "restore: record made"
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
	return s.current(e.Record)
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
	if err := s.bringBack(e); err != nil {
		err = errors.Join(err, s.giveUpRestore(*e))
		if held { // a kill before this makes it an entry like any other
			err = errors.Join(err, s.Hold(e.Name))
		}
		return err
	}
	return s.commit()
}

// bringBack moves the data back, makes the volume ready, and removes the entry.
func (s *Store) bringBack(e *TrashEntry) error {
	r := e.Record
	have, err := s.get(r.ID)
	isThere := err == nil && have.stamp() == r.stamp()
	if err == nil && !isThere {
		return fmt.Errorf("a volume %s is there: %w; delete it first", r.ID, ErrIncompatible)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := s.moveBack(e); err != nil {
		return err
	}
	if !isThere { // else its record is of an earlier attempt
		if have, err = s.makeReady(r); err != nil {
			return err
		}
	}
	e.Record = have
	s.step(stepBack)
	err = e.dir.Unlink(e.Name + backSuffix)
	if err != nil && ignoreNotExist(err) == nil {
		err = s.mayHaveLost(e)
	}
	s.step(stepForgot)
	return err
}

// makeReady gives a volume that is restored a record of its own, of the next generation: that of the entry may come
// back where a server forgot that it went.
func (s *Store) makeReady(r Record) (Record, error) {
	next := r
	next.Generation++
	made, err := s.writeReady(next)
	if !errors.Is(err, fs.ErrExist) {
		return made, err
	}
	f, err := s.look(r.ID)
	switch {
	case err != nil:
		return Record{}, err
	case f.state == ready && f.record.stamp() == r.stamp():
		return f.record, nil // by another process
	case f.state == ready:
		err = fs.ErrExist
	default: // an attempt that was killed before it wrote the record, or a creation: both are taken back
		if err = s.undoBegun(r.ID); err == nil {
			made, err = s.writeReady(next)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("a volume %s was made meanwhile: %w; delete it first", r.ID, ErrIncompatible)
	}
	return made, err
}

func (s *Store) writeReady(r Record) (Record, error) {
	c, err := s.openRecord(r.ID)
	if err != nil {
		return Record{}, err
	}
	defer c.close()
	s.step(stepNamed)
	return r, c.complete(r)
}

// mayHaveLost looks what became of an entry that another process has taken while its volume was made ready: if that gave
// the restoration up, its data goes back to the trash, and so does the record.
func (s *Store) mayHaveLost(e *TrashEntry) error {
	given, err := s.hasAny(trashDir, e.Record.ID, e.Name+recordSuffix, e.Name+heldSuffix)
	if err != nil || !given {
		return err
	}
	f, err := s.look(e.Record.ID)
	if err != nil || f.state != ready || f.record.Generation != e.Record.Generation || f.record.stamp() != e.Record.stamp() {
		return err
	}
	err = f.dir.Unlink(e.Record.ID + recordSuffix)
	return errors.Join(ignoreNotExist(err), fmt.Errorf("another process gave the restoration up: %w", ErrBusy))
}

// moveBack renames the data onto an empty directory made for it at a path that was free and is claimed, so that
// nothing that is in the place can be replaced.
func (s *Store) moveBack(e *TrashEntry) error {
	r := e.Record
	absent, err := missing(e.dir, e.Name)
	if err != nil {
		return err
	}
	if !absent {
		err = s.makePlace(r, e.Name)
		if err == nil {
			err = s.moveOnto(e)
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

func (s *Store) moveOnto(e *TrashEntry) error {
	parent, last, err := s.split(e.Record.Path)
	if err != nil {
		return err
	}
	defer parent.Close()
	// Another process may be faster, which shows in what is there.
	err = ignoreNotExist(rename(e.dir, e.Name, parent, last))
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR) {
		err = fmt.Errorf("%w: %w: look who put something at %s, and move it away", err, ErrForeign, e.Record.Path)
	}
	if err != nil {
		return err
	}
	s.step(stepReturned)
	return nil
}

// giveUpRestore makes a trash entry again of one that could not be restored, unless another process
// has done better.
func (s *Store) giveUpRestore(e TrashEntry) error {
	// First, so that nobody makes the volume ready while its data goes back.
	if err := s.advance(&e, recordSuffix); errors.Is(err, ErrBusy) {
		return nil
	} else if err != nil {
		return err
	}
	s.step(stepPutBack)
	absent, err := missing(e.dir, e.Name)
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

// settleRestored looks whether there is anything to restore: a volume that is there already, in its place, needs nothing
// but that its trash entry is forgotten, and what has two names is left alone.
func (s *Store) settleRestored(e TrashEntry) (done bool, err error) {
	if e.suffix == doomedSuffix {
		return false, nil
	}
	restored, err := s.settle(e)
	if err != nil {
		return false, err
	}
	if restored {
		err := s.isThere(e.Record)
		if err == nil {
			return true, ignoreNotExist(e.dir.Unlink(e.Name + e.suffix))
		}
		if ignoreNotExist(err) != nil && !errors.Is(err, ErrForeign) {
			return false, err
		}
	}
	data, err := e.dir.Open(e.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer data.Close()
	at, err := s.placeOfFile(file{e.dir, e.Name})
	if err == nil {
		err = s.hasOneName(data, at)
	}
	return false, err
}
