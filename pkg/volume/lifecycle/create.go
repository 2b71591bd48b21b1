// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
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

// Create makes a volume, or returns the one that is there; of what a copy has, if the spec has a source: ErrBusy unless
// that is complete. What it returns is on the disks of all bricks that are up.
// Errors: ErrIncompatible, ErrForeign (the path is taken), ErrNested, ErrBusy (another
// process is making, deleting or restoring it), and what the Gluster volume says. After an error
// nothing of a new volume is left, as far as the Gluster volume lets it be removed; the next
// Create clears away what is.
//
// What waits for what: the record and the path are claimed beside each other, after a look whether there is something
// at either; then come the directory, its owner and its mode, one after the other; then the record is completed while
// everything else is forced to disk.
func (s *Volumes) Create(spec volume.Spec) (volume.Record, error) {
	f, err := s.Find(volume.IDFor(spec.Name))
	if err == nil && f.State == store.Begun { // interrupted, or another controller is at it
		if err = s.Creations.UndoHalfMade(f.Record.ID); err == nil {
			f, err = s.Find(f.Record.ID)
		}
	}
	if err != nil {
		return volume.Record{}, s.Explain(fmt.Errorf("make volume %s on %s: %w", volume.IDFor(spec.Name), s.Volume, err))
	}
	if f.State == store.Ready {
		have, err := s.Current(f.Record)
		if err == nil {
			err = s.othersOnly(have)
		}
		if err == nil {
			err = s.Explain(s.placeClone(f.Record))
		}
		if err == nil {
			asked := f.Record // what was asked for by name counts, whatever it was changed to
			asked.Capacity = have.Capacity
			err = asked.Satisfies(spec)
		}
		if err == nil {
			err = s.Explain(s.Commit())
		}
		return have, err
	}
	if spec.Source != nil {
		return s.completeClone(spec)
	}
	r := s.NewRecord(spec)
	c, err := s.claimBoth(r)
	if c != nil {
		defer c.Close()
	}
	if err == nil {
		err = s.make(c, &r)
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("make directory %s on %s: %w", r.Path, s.Volume, err))
		return volume.Record{}, errors.Join(err, s.Creations.UndoFailed(r, c != nil))
	}
	return r, nil
}

// claimBoth claims the volume's ID, by its record, and its path. The first may be there without the second.
func (s *Volumes) claimBoth(r volume.Record) (*creation.RecordClaim, error) {
	var c *creation.RecordClaim
	var held volume.PathClaim
	err := s.both(func(s *Volumes) (err error) {
		c, err = s.Creations.ClaimRecord(r)
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("another controller is making volume %s: %w: %w", r.ID, err, volume.ErrBusy)
		}
		return err
	}, func(s *Volumes) (err error) {
		held, err = s.Creations.TakePlace(r.ID, volume.PathClaim{Stamp: r.Stamp(), Path: r.Path})
		return err
	})
	if err == nil && held.Stamp != r.Stamp() {
		err = s.placeTaken(r, held)
	}
	if err == nil {
		s.Step(stepPathHeld)
	}
	return c, err
}

// othersOnly is the ErrIncompatible of a volume that another Kubernetes cluster has under the name that is asked for.
func (s *Volumes) othersOnly(have volume.Record) error {
	if s.Kubernetes == "" || !volume.IsOthers(have.Kubernetes, s.Kubernetes) {
		return nil
	}
	return fmt.Errorf("volume %s on %s is of Kubernetes cluster %s, and this is %s: %w: choose another name",
		have.ID, s.Volume, have.Kubernetes, s.Kubernetes, volume.ErrIncompatible)
}

// placeTaken says why another holds the path of a new volume. One of the same ID is of an earlier life, or of an
// attempt that was interrupted: it is cleared away, for the next Create.
func (s *Volumes) placeTaken(r volume.Record, held volume.PathClaim) error {
	if volume.IDOfStamp(held.Stamp) != r.ID {
		return fmt.Errorf("directory %s on %s belongs to %s, not to %s: %w: a `path` that ends in ${pv.name} is never taken twice",
			r.Path, s.Volume, s.WithOwner(volume.IDOfStamp(held.Stamp)), r.ID, volume.ErrForeign)
	}
	err := fmt.Errorf("an earlier volume %s on %s is on its way out: %w", r.ID, s.Volume, volume.ErrBusy)
	left, beginErr := s.Creations.HalfMadeOf(r.ID)
	errs := []error{err, beginErr}
	for _, b := range left {
		if !s.MayGoOn(&s.Memory.Creations, b.Key()) {
			errs = append(errs, s.Creations.Undo(b))
		}
	}
	return errors.Join(append(errs, s.Trash.CompleteDeletionsOf(r.ID), s.Creations.TakeBackUnrecorded(held))...)
}

// make makes the directory of a volume whose ID and path are claimed, and completes its record.
func (s *Volumes) make(c *creation.RecordClaim, r *volume.Record) error {
	dir, err := s.makeDirectory(*r)
	if err != nil {
		return err
	}
	defer dir.Close()
	s.Step(stepMade)
	gfid, err := store.GFIDOf(dir)
	if err != nil {
		return err
	}
	r.GFID = gfid
	owner := func(s *Volumes) error { return s.setOwner(dir, r.Owner) }
	if err := s.both(owner, func(s *Volumes) error {
		return s.both(func(s *Volumes) error { return s.stillHolds(*r) }, func(s *Volumes) error { return s.limit(*r) })
	}); err != nil {
		return err
	}
	return s.both((*Volumes).Commit, func(s *Volumes) error {
		err := c.Complete(*r)
		s.Step(stepCompleted)
		return err
	})
}

// stillHolds returns an ErrBusy if the path of a creation was given up as that of a dead maker, by one who looked
// before the record was there. Nobody does so after that.
func (s *Volumes) stillHolds(r volume.Record) error {
	held, err := s.HolderOf(r.Path)
	if err == nil && held.Stamp != r.Stamp() {
		err = fs.ErrNotExist
	}
	if err != nil && volume.IgnoreNotExist(err) == nil {
		return fmt.Errorf("another controller took back volume %s meanwhile: %w", r.ID, volume.ErrBusy)
	}
	return err
}

// makeDirectory makes the volume's directory. What is there already came between the look and the claim of the path.
func (s *Volumes) makeDirectory(r volume.Record) (dir *safepath.Dir, err error) {
	// Deleting the last other volume below a parent removes the parent, perhaps
	// just as this volume was about to use it.
	err = s.RetryRefreshed(r.Path, func() error {
		parent, err := s.Creations.MakeParents(r.Path, r.Stamp())
		if err != nil {
			return err
		}
		defer parent.Close()
		name := path.Base(r.Path)
		made := parent.Mkdir(name, creation.NewMode)
		if made != nil && !errors.Is(made, fs.ErrExist) {
			return made
		}
		dir, err = parent.Open(name)
		if err != nil {
			return volume.NotADirectory(err)
		}
		if made == nil {
			return nil
		}
		defer dir.Close()
		return errors.Join(s.ForeignError(dir, r.ID, ""), s.ReleasePath(r.Path, volume.IsOfVolume(r.Stamp())))
	})
	return dir, err
}
