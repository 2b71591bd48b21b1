// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Create, beside those of pkg creation: a kill at any of them is finished by the next Create
// or Delete of the same volume.
const (
	stepPathHeld  = "create: path claimed"
	stepMade      = "create: directory made"
	stepOwned     = "create: owner set"
	stepMode      = "create: mode set"
	stepCompleted = "create: record complete"
)

// Create makes a volume, or returns the one that is there. What it returns is on the disks of all bricks that are up.
// Errors: ErrIncompatible, ErrForeign (the path is taken), ErrNested, ErrBusy (another
// process is making, deleting or restoring it), and what the Gluster volume says. After an error
// nothing of a new volume is left, as far as the Gluster volume lets it be removed; the next
// Create clears away what is.
//
// What waits for what: the record and the path are claimed beside each other, after a look whether there is something
// at either; then come the directory, its owner and its mode, one after the other; then the record is completed while
// everything else is forced to disk.
func (s *Store) Create(spec Spec) (Record, error) {
	f, err := s.look(IDFor(spec.Name))
	if err == nil && f.state == begun { // interrupted, or another controller is at it
		if err = s.undoBegun(f.record.ID); err == nil {
			f, err = s.look(f.record.ID)
		}
	}
	if err != nil {
		return Record{}, s.explain(fmt.Errorf("make volume %s on %s: %w", IDFor(spec.Name), s.volume, err))
	}
	if f.state == ready {
		have, err := s.current(f.record)
		if err == nil {
			asked := f.record // what was asked for by name counts, whatever it was changed to
			asked.Capacity = have.Capacity
			err = asked.satisfies(spec)
		}
		if err == nil {
			err = s.explain(s.commit())
		}
		return have, err
	}
	r := newRecord(spec)
	c, err := s.claimBoth(r)
	if c != nil {
		defer c.close()
	}
	if err == nil {
		err = s.make(c, &r)
	}
	if err != nil {
		err = s.explain(fmt.Errorf("make directory %s on %s: %w", r.Path, s.volume, err))
		return Record{}, errors.Join(err, s.undo(r, c != nil))
	}
	return r, nil
}

// claimBoth claims the volume's ID, by its record, and its path. The first may be there without the second.
func (s *Store) claimBoth(r Record) (*claim, error) {
	var c *claim
	var held holder
	err := s.both(func(s *Store) (err error) {
		c, err = s.claim(r)
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("another controller is making volume %s: %w: %w", r.ID, err, ErrBusy)
		}
		return err
	}, func(s *Store) (err error) {
		held, err = s.takePlace(r.ID, holder{stamp: r.stamp(), path: r.Path})
		return err
	})
	if err == nil && held.stamp != r.stamp() {
		err = s.placeTaken(r, held)
	}
	if err == nil {
		s.step(stepPathHeld)
	}
	return c, err
}

// placeTaken says why another holds the path of a new volume. One of the same ID is of an earlier life, or of an
// attempt that was interrupted: it is cleared away, for the next Create.
func (s *Store) placeTaken(r Record, held holder) error {
	if stampedID(held.stamp) != r.ID {
		return fmt.Errorf("directory %s on %s belongs to volume %s, not to %s: %w: a `path` that ends in ${pv.name} is never taken twice",
			r.Path, s.volume, stampedID(held.stamp), r.ID, ErrForeign)
	}
	err := fmt.Errorf("an earlier volume %s on %s is on its way out: %w", r.ID, s.volume, ErrBusy)
	left, beginErr := s.begunBefore(r.ID)
	errs := []error{err, beginErr}
	for _, b := range left {
		if !s.mayGoOn(&s.memory.creations, b.key()) {
			errs = append(errs, s.undoFile(b))
		}
	}
	return errors.Join(append(errs, s.finishDeletion(r.ID), s.takeBackUnrecorded(held))...)
}

// make makes the directory of a volume whose ID and path are claimed, and completes its record.
func (s *Store) make(c *claim, r *Record) error {
	dir, err := s.makeDirectory(*r)
	if err != nil {
		return err
	}
	defer dir.Close()
	s.step(stepMade)
	gfid, err := gfidOf(dir)
	if err != nil {
		return err
	}
	r.GFID = gfid
	owner := func(s *Store) error { return s.setOwner(dir, r.Owner) }
	if err := s.both(owner, func(s *Store) error {
		return s.both(func(s *Store) error { return s.stillHolds(*r) }, func(s *Store) error { return s.limit(*r) })
	}); err != nil {
		return err
	}
	return s.both((*Store).commit, func(s *Store) error {
		err := c.complete(*r)
		s.step(stepCompleted)
		return err
	})
}

// stillHolds returns an ErrBusy if the path of a creation was given up as that of a dead maker, by one who looked before
// the record was there. Nobody does so after that.
func (s *Store) stillHolds(r Record) error {
	held, err := s.holderOf(r.Path)
	if err == nil && held.stamp != r.stamp() {
		err = fs.ErrNotExist
	}
	if err != nil && ignoreNotExist(err) == nil {
		return fmt.Errorf("another controller took back volume %s meanwhile: %w", r.ID, ErrBusy)
	}
	return err
}

// makeDirectory makes the volume's directory. What is there already came between the look and the claim of the path.
func (s *Store) makeDirectory(r Record) (dir *safepath.Dir, err error) {
	// Deleting the last other volume below a parent removes the parent, perhaps
	// just as this volume was about to use it.
	err = s.afresh(r.Path, func() error {
		parent, err := s.makeParents(r.Path, r.stamp())
		if err != nil {
			return err
		}
		defer parent.Close()
		name := path.Base(r.Path)
		made := parent.Mkdir(name, newMode)
		if made != nil && !errors.Is(made, fs.ErrExist) {
			return made
		}
		dir, err = parent.Open(name)
		if err != nil {
			return notADirectory(err)
		}
		if made == nil {
			return nil
		}
		defer dir.Close()
		return errors.Join(s.foreign(dir, r.ID, ""), s.releasePath(r.Path, heldBy(r.stamp())))
	})
	return dir, err
}
