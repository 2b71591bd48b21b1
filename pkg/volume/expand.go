// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"fmt"
)

// Expand is Store.Expand, and ErrTooLarge for what is larger than the Gluster volume, and ErrProvisioned where all would
// have more together than they may.
func (m *Manager) Expand(ctx context.Context, id ID, required, limit int64) (Record, error) {
	if err := m.counted(ctx, id.Volume); err != nil {
		return Record{}, err
	}
	return one(ctx, m, id.Volume, id.ID, func(s *Store) (Record, error) {
		r, err := s.Get(id.ID)
		if err == nil && required > r.Capacity {
			err = m.sizes.has(s, id.ID, required)
		}
		if err != nil {
			return r, err
		}
		return m.within(s, id.ID, required, func() (Record, error) { return s.Expand(id.ID, required, limit) })
	})
}

// Expand gives a volume a capacity of at least so many bytes, at most limit (0: any), and returns its record. One that
// is as large already stays as it is. It may be in use meanwhile. What Expand returns is on the disks of all bricks
// that are up. Errors: ErrNotFound, ErrBusy, ErrTooLarge where the volume is larger than limit, since none is made
// smaller, and ErrNewer.
func (s *Store) Expand(id string, required, limit int64) (Record, error) {
	r, err := s.expand(id, required, limit)
	if err != nil {
		err = s.explain(fmt.Errorf("expand volume %s on %s: %w", id, s.volume, err))
	}
	return r, err
}

func (s *Store) expand(id string, required, limit int64) (Record, error) {
	f, err := s.lookReady(id)
	if err != nil {
		return Record{}, err
	}
	r, err := s.current(f.record)
	if err != nil {
		return Record{}, err
	}
	if limit > 0 && r.Capacity > limit {
		return Record{}, fmt.Errorf("it has %d bytes, which is more than %d, and volumes are not made smaller: %w", r.Capacity, limit, ErrTooLarge)
	}
	a, err := s.change(f.record, func(a *attributes) {
		if required > max(a.Capacity, f.record.Capacity) { // what another has set meanwhile counts
			a.Capacity = required
		}
	}, func() error { return s.limitCurrent(f.record) })
	return a.over(f.record), err
}
