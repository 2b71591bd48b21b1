// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// The named points of Restore.
const (
	stepTaken    = "restore: entry taken"
	stepPathBack = "restore: path claimed"
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
func (s *Trash) Restore(name string) (volume.Record, error) {
	e, err := s.Entry(name)
	if err == nil {
		err = s.CompleteRestoration(&e)
	}
	if errors.Is(err, volume.ErrNotFound) {
		err = fmt.Errorf("%w: see `glusterfs-csi trash list`", err)
	}
	if errors.Is(err, unix.ENOSPC) { // not the cure of every other: the entry is what must not be purged
		return volume.Record{}, fmt.Errorf("restore %s on %s: %w: %w; free space on its bricks, or purge other trash entries: this one is as it was, and `glusterfs-csi trash hold` keeps it",
			name, s.Volume, err, volume.ErrNoSpace)
	}
	if err != nil {
		return volume.Record{}, s.Explain(fmt.Errorf("restore %s on %s: %w", name, s.Volume, err))
	}
	return s.Current(e.Record)
}

// CompleteRestoration is Restore of an entry that was read, which may have come halfway.
func (s *Trash) CompleteRestoration(e *store.TrashEntry) error {
	if err := e.Record.CheckWritable(); err != nil {
		return err
	}
	if done, err := s.settleRestored(*e); done || err != nil {
		return err
	}
	held := e.Held()
	switch {
	case e.Suffix == store.DoomedSuffix || s.MayStillMove(*e):
		return fmt.Errorf("it is just being moved or removed: %w", volume.ErrBusy)
	case e.Suffix == store.RecordSuffix || held:
		if err := s.CompleteDeletion(*e); err != nil {
			return err
		}
		if err := s.advance(e, store.BackSuffix); err != nil {
			return err
		}
	}
	s.Step(stepTaken)
	if err := s.bringBack(e); err != nil {
		err = errors.Join(err, s.giveUpRestore(*e))
		if held { // a kill before this makes it an entry like any other
			err = errors.Join(err, s.Hold(e.Name))
		}
		return err
	}
	return s.Commit()
}

// bringBack moves the data back, makes the volume ready, and removes the entry.
func (s *Trash) bringBack(e *store.TrashEntry) error {
	r := e.Record
	have, err := s.GetAsMade(r.ID)
	isThere := err == nil && have.Stamp() == r.Stamp()
	if err == nil && !isThere {
		return fmt.Errorf("a volume %s is there: %w; delete it first", r.ID, volume.ErrIncompatible)
	}
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
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
	s.Step(stepBack)
	err = e.Dir.Unlink(e.Base + store.BackSuffix)
	if err != nil && volume.IgnoreNotExist(err) == nil {
		err = s.mayHaveLost(e)
	}
	s.Step(stepForgot)
	return err
}

// makeReady gives a volume that is restored a record of its own, of the next generation: that of the entry may come
// back where a server forgot that it went.
func (s *Trash) makeReady(r volume.Record) (volume.Record, error) {
	next := r
	next.Generation++
	now, err := s.Current(r)
	if err != nil {
		return volume.Record{}, err
	}
	if now.Kubernetes == "" {
		next.Kubernetes = s.Kubernetes
	}
	made, err := s.writeReady(next)
	if !errors.Is(err, fs.ErrExist) {
		return made, err
	}
	f, err := s.Find(r.ID)
	switch {
	case err != nil:
		return volume.Record{}, err
	case f.State == store.Ready && f.Record.Stamp() == r.Stamp():
		return f.Record, nil // by another process
	case f.State == store.Ready:
		err = fs.ErrExist
	default: // an attempt that was killed before it wrote the record, or a creation: both are taken back
		if err = s.Creations.UndoHalfMade(r.ID); err == nil {
			made, err = s.writeReady(next)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("a volume %s was made meanwhile: %w; delete it first", r.ID, volume.ErrIncompatible)
	}
	return made, err
}

func (s *Trash) writeReady(r volume.Record) (volume.Record, error) {
	c, err := s.Creations.OpenRecord(r.ID)
	if err != nil {
		return volume.Record{}, err
	}
	defer c.Close()
	s.Step(stepNamed)
	return r, s.Creations.Complete(c, r)
}

// mayHaveLost looks what became of an entry that another process has taken while its volume was made ready: if that
// gave the restoration up, its data goes back to the trash, and so does the record.
func (s *Trash) mayHaveLost(e *store.TrashEntry) error {
	given, err := s.HasAny(owndir.TrashDir, e.Record.ID, e.Base+store.RecordSuffix, e.Base+store.HeldSuffix)
	if err != nil || !given {
		return err
	}
	f, err := s.Find(e.Record.ID)
	if err != nil || f.State != store.Ready || f.Record.Generation != e.Record.Generation || f.Record.Stamp() != e.Record.Stamp() {
		return err
	}
	err = f.Dir.Unlink(e.Record.ID + store.RecordSuffix)
	return errors.Join(volume.IgnoreNotExist(err), fmt.Errorf("another process gave the restoration up: %w", volume.ErrBusy))
}

// moveBack renames the data to its path, which was free and is claimed. Nothing is made there for it to replace: while a
// directory is replaced by another, GlusterFS may give back the name that went to whoever looks it up, on one brick
// (TestNothingIsMadeForAMoveToReplace). What somebody else puts there meanwhile is not replaced either, but an
// empty directory: so the claim is looked at last.
func (s *Trash) moveBack(e *store.TrashEntry) error {
	r := e.Record
	absent, err := owndir.IsMissing(e.Dir, e.Base)
	if err != nil {
		return err
	}
	if !absent {
		err = s.takePlace(r, e.Base)
		if err == nil {
			err = s.moveTo(e)
		}
		if err != nil {
			return err
		}
	}
	err = s.CheckInPlace(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, volume.ErrForeign) {
		// The volume's directory was gone before it was deleted.
		return fmt.Errorf("its data is gone: %w", volume.ErrNotFound)
	}
	return err
}

// takePlace claims the path at which the volume was, and makes the directories on the way to it.
func (s *Trash) takePlace(r volume.Record, entry string) error {
	held, err := s.Creations.TakePlace(r.ID, volume.PathClaim{Stamp: r.Stamp(), Entry: entry, Path: r.Path})
	if err != nil {
		return err
	}
	switch {
	case held.Stamp == r.Stamp() && held.Entry == entry:
	case held.Stamp == r.Stamp():
		return fmt.Errorf("something is at %s on %s: %w: look who put it there, and move it away", r.Path, s.Volume, volume.ErrForeign)
	default:
		return fmt.Errorf("directory %s on %s belongs to %s now: %w: move that volume's data, or restore this one elsewhere by hand",
			r.Path, s.Volume, s.WithOwner(volume.IDOfStamp(held.Stamp)), volume.ErrForeign)
	}
	s.Step(stepPathBack)
	return s.RetryRefreshed(r.Path, func() error {
		parent, err := s.Creations.MakeParents(r.Path, r.Stamp())
		if err != nil {
			return err
		}
		parent.Close()
		return nil
	})
}

func (s *Trash) moveTo(e *store.TrashEntry) error {
	parent, last, err := s.OpenParent(e.Record.Path)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := s.stillHolds(*e); err != nil {
		return err
	}
	// Another process may be faster, which shows in what is there.
	err = volume.IgnoreNotExist(rename(e.Dir, e.Base, parent, last))
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR) {
		err = fmt.Errorf("%w: %w: look who put something at %s, and move it away", err, volume.ErrForeign, e.Record.Path)
	}
	if err != nil {
		return err
	}
	s.Step(stepReturned)
	return nil
}

// stillHolds returns an ErrBusy if another has given up the restoration of an entry, and so the path: the next volume's
// directory may be there (TestARestorationThatStoodStillLeavesTheNextVolumesPlace).
func (s *Trash) stillHolds(e store.TrashEntry) error {
	held, err := s.HolderOf(e.Record.Path)
	if volume.IgnoreNotExist(err) != nil {
		return err
	}
	if held != (volume.PathClaim{Stamp: e.Record.Stamp(), Entry: e.Base, Path: e.Record.Path}) {
		return fmt.Errorf("the path is not held for it by now: %w", volume.ErrBusy)
	}
	return nil
}

// giveUpRestore makes a trash entry again of one that could not be restored, unless another process
// has done better.
func (s *Trash) giveUpRestore(e store.TrashEntry) error {
	// First, so that nobody makes the volume ready while its data goes back.
	if err := s.advance(&e, store.RecordSuffix); errors.Is(err, volume.ErrBusy) {
		return nil
	} else if err != nil {
		return err
	}
	s.Step(stepPutBack)
	absent, err := owndir.IsMissing(e.Dir, e.Base)
	if err != nil {
		return err
	}
	if !absent {
		err = s.Creations.RemoveEmpty(e.Record, e.Base) // that an earlier version has made for it to replace
	}
	e.Moved = !absent
	isOf := volume.IsOfVolume(e.Record.Stamp())
	releaseErr := s.ReleasePath(e.Record.Path, func(h volume.PathClaim) bool { return isOf(h) && h.Entry == e.Base })
	return errors.Join(err, s.CompleteDeletion(e), releaseErr)
}

// settleRestored looks whether there is anything to restore: a volume that is there already, in its place, needs
// nothing but that its trash entry is forgotten, and what has two names is left alone.
func (s *Trash) settleRestored(e store.TrashEntry) (done bool, err error) {
	if e.Suffix == store.DoomedSuffix {
		return false, nil
	}
	restored, err := s.settle(e)
	if err != nil {
		return false, err
	}
	if restored {
		err := s.CheckInPlace(e.Record)
		if err == nil {
			return true, volume.IgnoreNotExist(e.Dir.Unlink(e.Base + e.Suffix))
		}
		if volume.IgnoreNotExist(err) != nil && !errors.Is(err, volume.ErrForeign) {
			return false, err
		}
	}
	data, err := e.Dir.Open(e.Base)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer data.Close()
	return false, s.isOnAllBricks(data, e)
}
