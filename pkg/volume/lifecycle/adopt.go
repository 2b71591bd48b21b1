// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Adoption makes a volume of a directory that somebody else has made. Its record is complete from the first write
// on, and on disk before the path is claimed: what is taken back of creations is found by a claim without a record,
// and an empty directory goes then, which may not happen to this one. Giving back goes the other way round, the
// claim before the record.

// Adopt makes a volume of a directory that is there, with a capacity in bytes, 0 for none, that it is not held to. The
// directory and what is in it stay as they are, then and when the volume is deleted. One that is adopted already is
// returned; what was begun and interrupted is finished. What Adopt returns is on the disks of all bricks that are up.
// Errors: ErrInvalid for a path that can be no volume's, ErrNotFound where nothing is there, ErrForeign where it is no
// directory or another volume's, ErrNested where it lies in a volume or has one in it, ErrIncompatible where the ID is
// another volume's or the capacity another, ErrTwoNames, and ErrBusy.
func (s *Volumes) Adopt(ctx context.Context, id, path string, capacity int64) (volume.Record, error) {
	r, err := s.adopt(ctx, id, path, capacity)
	if err != nil {
		err = s.Explain(fmt.Errorf("adopt directory %s of %s as volume %s: %w", path, s.Volume, id, err))
	}
	return r, err
}

func (s *Volumes) adopt(ctx context.Context, id, path string, capacity int64) (volume.Record, error) {
	f, err := s.lookForAdoption(id, path, capacity)
	if err != nil {
		return volume.Record{}, err
	}
	r := s.NewRecord(volume.Spec{Name: id, Path: path, Required: capacity, OnDelete: volume.Retain, Quota: volume.QuotaNone})
	r.Origin = volume.Adopted
	if f.State != store.Absent {
		if r, err = s.adoptedBefore(f, path, capacity); err != nil {
			return r, err
		}
	}
	if r.GFID, err = s.mayAdopt(ctx, r); err != nil {
		return volume.Record{}, err
	}
	isNew := f.State == store.Absent
	if isNew {
		if f, err = s.recordAdopted(r); err != nil {
			return volume.Record{}, err
		}
	}
	if err := s.takeAdopted(ctx, r); err != nil {
		if isNew {
			err = errors.Join(err, s.release(f), s.Commit())
		}
		return volume.Record{}, err
	}
	if err := s.Commit(); err != nil {
		return volume.Record{}, err
	}
	return s.Current(r)
}

// lookForAdoption finds what there is of the ID, after taking back what was begun and interrupted.
func (s *Volumes) lookForAdoption(id, path string, capacity int64) (store.Lookup, error) {
	if !volume.IsID(id) || capacity < 0 {
		return store.Lookup{}, fmt.Errorf("%w: the ID is %q, the capacity %d", volume.ErrInvalid, id, capacity)
	}
	if err := volume.CheckPath(path); err != nil {
		return store.Lookup{}, err
	}
	f, err := s.Find(id)
	if err == nil && f.State == store.Begun {
		if err = s.Creations.UndoHalfMade(id); err == nil {
			f, err = s.Find(id)
		}
	}
	return f, err
}

// adoptedBefore returns the record of a volume if it is the one that is to be adopted.
func (s *Volumes) adoptedBefore(f store.Lookup, path string, capacity int64) (volume.Record, error) {
	if f.State != store.Ready {
		return volume.Record{}, fmt.Errorf("it is just being made: %w", volume.ErrBusy)
	}
	now, err := s.Current(f.Record)
	switch {
	case err != nil:
		return now, err
	case s.othersOnly(now) != nil:
		err = s.othersOnly(now)
	case now.Origin != volume.Adopted:
		err = fmt.Errorf("a volume of this ID was made by the driver, at %s: %w: choose another ID", now.Path, volume.ErrIncompatible)
	case now.Path != path:
		err = fmt.Errorf("the volume has the directory %s: %w: choose another ID, or release it", now.Path, volume.ErrIncompatible)
	case capacity != 0 && now.Capacity != capacity:
		err = fmt.Errorf("the volume has %d bytes, not %d: %w: expand its claim, or release it", now.Capacity, capacity, volume.ErrIncompatible)
	default:
		err = f.Record.CheckWritable()
	}
	return f.Record, err
}

// recordAdopted puts the record on disk, as a whole.
func (s *Volumes) recordAdopted(r volume.Record) (store.Lookup, error) {
	c, err := s.Creations.ClaimRecord(r)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("another is making volume %s: %w: %w", r.ID, err, volume.ErrBusy)
	}
	if err != nil {
		return store.Lookup{}, err
	}
	defer c.Close()
	if err = s.Creations.Complete(c, r); err == nil {
		s.Step(stepCompleted)
		err = s.Commit()
	}
	return store.Lookup{State: store.Ready, Record: r, Dir: c.Dir}, err
}

// takeAdopted claims the path of a volume that is recorded, and looks again: whoever makes a volume in the
// directory, or around it, at the same time either finds that claim or has one that is found now.
func (s *Volumes) takeAdopted(ctx context.Context, r volume.Record) error {
	held, err := s.ClaimPath(volume.PathClaim{Stamp: r.Stamp(), Path: r.Path})
	if err := volume.IgnoreExist(err); err != nil {
		return err
	}
	if held.Stamp != r.Stamp() || held.Parent {
		return s.anothers(r.ID, r.Path, held)
	}
	s.Step(stepPathHeld)
	_, err = s.mayAdopt(ctx, r)
	return err
}

// GiveBack undoes Adopt: the directory is nobody's again, with its data and without a limit. Errors: ErrNotFound, and
// ErrInvalid for a volume that was not adopted.
func (s *Volumes) GiveBack(id string) error {
	f, err := s.Find(id)
	switch {
	case err != nil:
	case f.State != store.Ready:
		err = volume.ErrNotFound
	case f.Record.Origin != volume.Adopted:
		err = fmt.Errorf("%w: it was %s by the driver: delete its claim; with `onDelete: retain` its data stays", volume.ErrInvalid, f.Record.Origin)
	default:
		err = f.Record.CheckWritable()
	}
	if err == nil {
		f.Record, err = s.Current(f.Record)
	}
	if err == nil {
		err = s.release(f)
	}
	if err == nil {
		err = s.Commit()
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("release volume %s on %s: %w", id, s.Volume, err))
	}
	return err
}
