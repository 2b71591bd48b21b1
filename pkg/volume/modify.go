// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"fmt"
)

// Changes are what of a volume is to be another; what is zero stays as it is.
type Changes struct {
	Owner    Owner
	OnDelete OnDelete
	Quota    Quota
	// Enforced is what Quota comes to.
	Enforced bool
	// Recursive has the owner and the group of Owner given to all that is in the volume; not its mode.
	Recursive bool
}

// Modify is Store.Modify, and ErrUnlimited for a volume that is to be held to its capacity where nothing holds it;
// whether it is enforced is decided here. Of Recursive the volume's directory is changed first, and ErrBusy says how
// far the rest is.
func (m *Manager) Modify(ctx context.Context, id ID, c Changes) (Record, error) {
	if c.Quota != "" {
		r, err := m.Get(ctx, id)
		if err != nil {
			return Record{}, err
		}
		enforced, err := m.enforces(ctx, id.Volume, Spec{Name: r.Name, Required: r.Capacity, Quota: c.Quota})
		switch {
		case c.Quota == r.Quota && (err != nil || c.Quota == QuotaAuto):
			c.Quota = "" // that was decided when it was asked for first
		case err != nil:
			return Record{}, err
		}
		c.Enforced = enforced
	}
	r, err := one(ctx, m, id.Volume, id.ID, func(s *Store) (Record, error) { return s.Modify(id.ID, c) })
	if err == nil {
		err = m.changeOwnerBelow(ctx, id, c)
	}
	return r, err
}

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

// to returns what makes the changes to attributes of a volume that has this record; what is so already is no change.
func (c Changes) to(r Record) func(*attributes) {
	return func(a *attributes) {
		now := a.over(r)
		if wanted := c.Owner.over(now.Owner); !wanted.equal(now.Owner) {
			a.Owner = &wanted
		}
		if c.OnDelete != "" && c.OnDelete != now.OnDelete {
			a.OnDelete = c.OnDelete
		}
		if c.Quota != "" && (c.Quota != now.Quota || c.Enforced != now.Enforced) {
			a.Quota, a.Enforced = c.Quota, &c.Enforced
		}
	}
}

// over returns p with what o has by name.
func (o Owner) over(p Owner) Owner {
	if o.UID != nil {
		p.UID = o.UID
	}
	if o.GID != nil {
		p.GID = o.GID
	}
	if o.Mode != nil {
		p.Mode = o.Mode
	}
	return p
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
