// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

const stepApplied = "change: owner applied"

// Modify changes what a volume is, and returns its record. The volume may be in use. Owner and mode are those of its
// directory alone, not of what is in it. What Modify returns is on the disks of all bricks that are up. Errors:
// ErrNotFound, ErrBusy, ErrNewer, and ErrForeign where the volume's directory is another's.
func (s *Volumes) Modify(id string, c volume.Changes) (volume.Record, error) {
	f, seen, err := s.lookReady(id)
	if err == nil {
		r := f.Record
		var a volume.Attributes
		a, err = s.ChangeAttributes(r, &seen, store.Change{To: c.ApplyTo(r), Apply: s.applying(func(s *Volumes, _ volume.Attributes) error {
			return s.applyChanges(r, c)
		})})
		f.Record = a.ApplyTo(f.Record)
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("modify volume %s on %s: %w", id, s.Volume, err))
	}
	return f.Record, err
}

// applying is the Apply of a change.
func (s *Volumes) applying(apply func(*Volumes, volume.Attributes) error) func(*store.Store, volume.Attributes) error {
	return func(theirs *store.Store, a volume.Attributes) error { return apply(s.with(theirs), a) }
}

// lookReady finds a volume that may be changed, and what was changed of it.
func (s *Volumes) lookReady(id string) (store.Lookup, store.Changed, error) {
	f, seen, err := s.FindChanged(id)
	switch {
	case err != nil:
	case f.State == store.Absent:
		err = volume.ErrNotFound
	case f.State == store.Begun:
		err = fmt.Errorf("it is just being made: %w", volume.ErrBusy)
	default:
		err = f.Record.CheckWritable()
	}
	return f, seen, err
}

// applyChanges does to the directory of a volume that is there what was written down. Of what another has changed meanwhile
// the latest counts.
func (s *Volumes) applyChanges(r volume.Record, c volume.Changes) error {
	var now volume.Record
	var ready bool
	err := s.both(func(s *Volumes) (err error) {
		now, err = s.Current(r)
		return err
	}, func(s *Volumes) (err error) {
		ready, err = s.IsReady(r)
		return err
	})
	if err != nil {
		return err
	}
	if !ready { // a directory that was given back meanwhile is not the driver's
		return s.Commit()
	}
	if c.Owner != (volume.Owner{}) {
		if err := s.applyOwner(now); err != nil {
			return err
		}
	}
	switch {
	case c.Quota == "":
	case now.Enforced:
		return s.limitCurrent(r, now)
	default:
		now.Enforced = true // it may have a limit
		if err := s.lift(now); err != nil {
			return err
		}
	}
	return s.Commit()
}

func (s *Volumes) applyOwner(r volume.Record) error {
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		return volume.NotADirectory(err)
	}
	defer dir.Close()
	if err = s.CheckIdentity(dir, r); err == nil {
		err = mendOwner(dir, r.Owner, false)
	}
	s.Step(stepApplied)
	return err
}
