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
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// The named points of Create, beside those of pkg creation: a kill at any of them is finished by the next Create
// or Delete of the same volume.
const (
	stepPathHeld  = "create: path claimed"
	stepDirectory = "create: directory there"
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
// What waits for what: the record is claimed beside a look at the path, and beside the link that is to claim that; then
// the path is claimed; then come the directory, its owner and its mode, one after the other; then the record is
// completed while everything else is forced to disk.
func (s *Volumes) Create(spec volume.Spec) (volume.Record, error) {
	// Who has the record needs no look whether there is one. As long as one may be elsewhere, or what is to be in the
	// volume has to be found, a look comes first.
	if spec.Source == nil && s.IsSpread(owndir.VolumesDir) {
		r, err := s.makeNew(spec)
		if !errors.Is(err, errRecorded) {
			return r, err
		}
	}
	f, err := s.Find(volume.IDFor(spec.Name))
	// Interrupted, or another controller is at it; of one that is to have what was copied, the record may be aside (Revoke).
	if err == nil && (f.State == store.Begun || f.State == store.Absent && spec.Source != nil) {
		if err = s.Creations.UndoHalfMade(volume.IDFor(spec.Name)); err == nil {
			f, err = s.Find(volume.IDFor(spec.Name))
		}
	}
	switch {
	case err != nil:
		return volume.Record{}, s.Explain(fmt.Errorf("make volume %s on %s: %w", volume.IDFor(spec.Name), s.Volume, err))
	case f.State == store.Ready:
		return s.madeBefore(f, spec)
	case spec.Source != nil:
		return s.completeClone(spec)
	}
	return s.makeNew(spec)
}

// madeBefore returns the volume that is there, if it is the one that is asked for.
func (s *Volumes) madeBefore(f store.Lookup, spec volume.Spec) (volume.Record, error) {
	have, err := s.Current(f.Record)
	if err == nil {
		err = s.othersOnly(have)
	}
	if err == nil {
		err = s.finishClone(f.Record)
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

// errRecorded says that there is a record of what was to be made. Nothing else has been done then.
var errRecorded = fmt.Errorf("another controller is making it: %w: %w", fs.ErrExist, volume.ErrBusy)

// makeNew makes a volume of which there is no record; errRecorded if there is one.
func (s *Volumes) makeNew(spec volume.Spec) (volume.Record, error) {
	r := s.NewRecord(spec)
	c, err := s.claimBoth(r)
	if c != nil {
		defer c.Close()
	}
	if err == nil {
		err = s.make(c, &r)
	}
	if err == nil {
		return r, nil
	}
	return volume.Record{}, s.failed(r, c, err)
}

// failed takes back what a creation has begun, and says why it has failed. Where there was a record it has begun nothing,
// and what there is is another's (TestWhoIsLateForTheRecordLeavesTheOthersParents).
func (s *Volumes) failed(r volume.Record, c *creation.RecordClaim, err error) error {
	err = s.Explain(fmt.Errorf("make directory %s on %s: %w", r.Path, s.Volume, err))
	if errors.Is(err, errRecorded) {
		return err
	}
	return errors.Join(err, s.Creations.UndoFailed(r, c != nil))
}

// claimBoth claims the volume's ID, by its record, and then its path: whoever finds a path claimed looks for the
// holder's record, and takes the path from one that has none.
func (s *Volumes) claimBoth(r volume.Record) (*creation.RecordClaim, error) {
	var c *creation.RecordClaim
	var place *creation.Place
	var claimed error
	err := s.both(func(s *Volumes) error {
		c, claimed = s.Creations.ClaimRecord(r)
		return claimed
	}, func(s *Volumes) (err error) {
		place, err = s.Creations.PreparePlace(r.ID, volume.PathClaim{Stamp: r.Stamp(), Path: r.Path})
		return err
	})
	if errors.Is(claimed, fs.ErrExist) {
		err = errRecorded // whatever else is wrong
	}
	if err != nil {
		place.Drop()
		return c, err
	}
	held, err := s.Creations.TakePrepared(place)
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
	if err := s.keepingPlace(c, *r, func(s *Volumes) error {
		return s.both(func(s *Volumes) error { return s.setOwner(dir, r.Owner) }, func(s *Volumes) error { return s.limit(*r) })
	}); err != nil {
		return err
	}
	return s.both((*Volumes).Commit, func(s *Volumes) error {
		err := s.Creations.Complete(c, *r)
		s.Step(stepCompleted)
		return err
	})
}

// keepingPlace does something for a creation whose directory is known, and looks beside it whether it holds its path
// still: another may have moved the claim aside, to look at it, and a third claimed the path before it was back
// (TestACreationThatHasLostItsClaimIsNoVolume). One that is only gone is made again. What was made for it goes if its
// record is in its place: whoever takes a creation back moves that first, and then what is there may be another's
// (TestAVolumeThatAnotherControllerOvertakesIsTheOthers).
func (s *Volumes) keepingPlace(c *creation.RecordClaim, r volume.Record, do func(*Volumes) error) error {
	var held volume.PathClaim
	err := s.both(do, func(s *Volumes) (err error) {
		held, err = s.HolderOf(r.Path)
		if errors.Is(err, fs.ErrNotExist) {
			if err = s.Commit(); err == nil { // that the name is free, before it is another file's
				held, err = s.ClaimPath(volume.PathClaim{Stamp: r.Stamp(), Path: r.Path})
			}
		}
		return volume.IgnoreExist(err)
	})
	if held.Stamp == "" || held.Stamp == r.Stamp() {
		return err
	}
	err = errors.Join(err, fmt.Errorf("another has the path by now: %w", volume.ErrBusy))
	if c.IsInPlace() == nil {
		err = errors.Join(err, s.Creations.RemoveMade(r))
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
		s.Step(stepDirectory)
		dir, err = parent.Open(name)
		if err != nil {
			return volume.NotADirectory(err)
		}
		if made == nil {
			return nil
		}
		defer dir.Close()
		return s.wasThere(dir, r)
	})
	return dir, err
}

// wasThere is the error of a directory that came between the look at a volume's path and the claim of it.
func (s *Volumes) wasThere(dir *safepath.Dir, r volume.Record) error {
	return errors.Join(s.ForeignError(dir, r.ID, ""), s.ReleasePath(r.Path, volume.IsOfVolume(r.Stamp())))
}
