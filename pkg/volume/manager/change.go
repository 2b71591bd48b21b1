// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// Expand is Volumes.Expand, and ErrTooLarge for what is larger than the Gluster volume, and ErrProvisioned where all
// would have more together than they may.
func (m *Manager) Expand(ctx context.Context, id volume.ID, required, limit int64) (volume.Record, error) {
	if err := m.counted(ctx, id.Volume); err != nil {
		return volume.Record{}, err
	}
	return changing(ctx, m, id.Volume, id.ID, func(s *lifecycle.Volumes) (volume.Record, error) {
		r, err := s.Get(id.ID)
		if err == nil && required > r.Capacity {
			err = m.sizes.has(s, id.ID, required)
		}
		if err != nil {
			return r, err
		}
		return m.within(s, id.ID, required, func() (volume.Record, error) { return s.Expand(id.ID, required, limit) })
	})
}

// Modify is Volumes.Modify, and ErrUnlimited for a volume that is to be held to its capacity where nothing holds it;
// whether it is enforced is decided here. Of Recursive the volume's directory is changed first, and ErrBusy says how
// far the rest is.
func (m *Manager) Modify(ctx context.Context, id volume.ID, c volume.Changes) (volume.Record, error) {
	if c.Quota != "" {
		r, err := m.Get(ctx, id)
		if err != nil {
			return volume.Record{}, err
		}
		enforced, err := m.enforces(ctx, id.Volume, volume.Spec{Name: r.Name, Required: r.Capacity, Quota: c.Quota})
		switch {
		case c.Quota == r.Quota && (err != nil || c.Quota == volume.QuotaAuto):
			c.Quota = "" // that was decided when it was asked for first
		case err != nil:
			return volume.Record{}, err
		}
		c.Enforced = enforced
	}
	r, err := changing(ctx, m, id.Volume, id.ID, func(s *lifecycle.Volumes) (volume.Record, error) { return s.Modify(id.ID, c) })
	if err == nil {
		err = m.changeOwnerBelow(ctx, id, c)
	}
	return r, err
}
