// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
)

const stepApplied = "change: owner applied"

// Modify changes what a volume is, and returns its record. The volume may be in use. Owner and mode are those of its
// directory alone, not of what is in it. What Modify returns is on the disks of all bricks that are up. Errors:
// ErrNotFound, ErrBusy, ErrNewer, and ErrForeign where the volume's directory is another's.
func (s *Store) Modify(id string, c Changes) (Record, error) {
	f, err := s.lookReady(id)
	if err == nil {
		var a attributes
		a, err = s.change(f.record, c.to(f.record), func() error { return s.applyChanges(f.record, c) })
		f.record = a.over(f.record)
	}
	if err != nil {
		err = s.explain(fmt.Errorf("modify volume %s on %s: %w", id, s.volume, err))
	}
	return f.record, err
}

// lookReady finds a volume that may be changed.
func (s *Store) lookReady(id string) (found, error) {
	f, err := s.look(id)
	switch {
	case err != nil:
	case f.state == absent:
		err = ErrNotFound
	case f.state == begun:
		err = fmt.Errorf("it is just being made: %w", ErrBusy)
	default:
		err = f.record.writable()
	}
	return f, err
}

// applyChanges does to the volume's directory what was written down. Of what another has changed meanwhile the
// latest counts.
func (s *Store) applyChanges(r Record, c Changes) error {
	now, err := s.current(r)
	if err != nil {
		return err
	}
	if c.Owner != (Owner{}) {
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

func (s *Store) applyOwner(r Record) error {
	dir, err := s.root.Open(r.Path)
	if err != nil {
		return notADirectory(err)
	}
	defer dir.Close()
	if err = s.isOwn(dir, r); err == nil {
		err = mendOwner(dir, r.Owner, false)
	}
	s.step(stepApplied)
	return err
}
