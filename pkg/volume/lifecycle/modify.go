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
	f, err := s.lookReady(id)
	if err == nil {
		var a volume.Attributes
		a, err = s.ChangeAttributes(f.Record, c.ApplyTo(f.Record), func() error { return s.applyChanges(f.Record, c) })
		f.Record = a.ApplyTo(f.Record)
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("modify volume %s on %s: %w", id, s.Volume, err))
	}
	return f.Record, err
}

// lookReady finds a volume that may be changed.
func (s *Volumes) lookReady(id string) (store.Lookup, error) {
	f, err := s.Find(id)
	switch {
	case err != nil:
	case f.State == store.Absent:
		err = volume.ErrNotFound
	case f.State == store.Begun:
		err = fmt.Errorf("it is just being made: %w", volume.ErrBusy)
	default:
		err = f.Record.CheckWritable()
	}
	return f, err
}

// applyChanges does to the volume's directory what was written down. Of what another has changed meanwhile the
// latest counts.
func (s *Volumes) applyChanges(r volume.Record, c volume.Changes) error {
	now, err := s.Current(r)
	if err != nil {
		return err
	}
	if c.Owner != (volume.Owner{}) {
		if err := s.applyOwner(now); err != nil {
			return err
		}
	}
	switch {
	case c.Quota == "":
		return nil
	case now.Enforced:
		return s.limitCurrent(r)
	}
	now.Enforced = true // it may have a limit
	return s.lift(now)
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
