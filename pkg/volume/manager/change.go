// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"sync/atomic"

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
		err := m.sizes.Has(s.Store, id.ID, required)
		if errors.Is(err, volume.ErrTooLarge) {
			r, getErr := s.Get(id.ID)
			if getErr != nil || required <= r.Capacity { // it has that since the Gluster volume was larger
				err = getErr
			}
		}
		if err != nil {
			return volume.Record{}, err
		}
		r, err := m.within(s, id.ID, required, func() (volume.Record, error) { return s.Expand(id.ID, required, limit) })
		if errors.Is(err, volume.ErrProvisioned) {
			if _, getErr := s.GetAsMade(id.ID); getErr != nil { // what is not there needs no room
				return r, getErr
			}
		}
		return r, err
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

// changeOwnerBelow changes the owner of all that is in a volume, if that was asked for: ErrBusy with the progress as
// long as it goes on.
func (m *Manager) changeOwnerBelow(ctx context.Context, id volume.ID, c volume.Changes) error {
	if c.Owner.UID == nil && c.Owner.GID == nil {
		return nil
	}
	key := lockKey(id.Volume, id.ID)
	if !c.Recursive {
		m.ownerWalks.Stop(key)
		return nil
	}
	return m.ownerWalks.Walk(ctx, key, orKeep(c.Owner.UID), orKeep(c.Owner.GID), m.ownerWalk(id))
}

// ownerWalk changes the owner of all that is in a volume. It does not leave before the last request has been answered, whatever
// becomes of ctx.
func (m *Manager) ownerWalk(id volume.ID) func(ctx context.Context, uid, gid int, visited *atomic.Int64) error {
	return func(ctx context.Context, uid, gid int, visited *atomic.Int64) error {
		return m.run(context.WithoutCancel(ctx), id.Volume, m.own, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return s.ChangeOwnerBelow(ctx, id.ID, uid, gid, visited)
		})
	}
}

func orKeep(id *uint32) int {
	if id == nil {
		return -1
	}
	return int(*id)
}

// Adopt is Volumes.Adopt.
func (m *Manager) Adopt(ctx context.Context, id volume.ID, path string, capacity int64) (volume.Record, error) {
	return changing(ctx, m, id.Volume, id.ID, func(s *lifecycle.Volumes) (volume.Record, error) {
		return s.Adopt(context.WithoutCancel(ctx), id.ID, path, capacity)
	})
}

// GiveBack is Volumes.GiveBack.
func (m *Manager) GiveBack(ctx context.Context, id volume.ID) error {
	return m.change(ctx, id.Volume, id.ID, func(s *lifecycle.Volumes) error { return s.GiveBack(id.ID) })
}
