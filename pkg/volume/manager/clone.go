// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/jobs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/snapshot"
)

// copied returns when what a volume is to be made from was copied, or the volume is there: ErrBusy with how far it is
// when ctx is done before. The copy goes on as long as somebody asks for the volume once an hour. required is the
// capacity that the volume gets where none is asked for.
func (m *Manager) copied(ctx context.Context, v gluster.Volume, spec volume.Spec) (required int64, err error) {
	id := volume.IDFor(spec.Name)
	var isVolume bool
	find := func(s *lifecycle.Volumes) (st *copying.Status, err error) {
		st, isVolume, err = s.FindClone(spec)
		if err == nil && st != nil {
			err = s.Clones().Ask(*st)
		}
		return st, err
	}
	st, err := one(ctx, m, v, id, find)
	if err != nil || isVolume {
		return spec.Required, err
	}
	if st == nil {
		from, err := m.origin(ctx, *spec.Source)
		if err != nil {
			return 0, err
		}
		st, err = changing(ctx, m, v, id, func(s *lifecycle.Volumes) (*copying.Status, error) {
			if err := s.Clones().Room(); err != nil {
				return nil, err
			}
			return m.beginClone(s, spec, from)
		})
		if err != nil {
			return 0, err
		}
	}
	if st.Result == nil {
		job := m.startCopy(ctx, jobs.CopyKey{Volume: v, Kind: volume.Clones, ID: id})
		err = job.Wait(ctx, fmt.Sprintf("volume %s/%s is being copied from %s", v, id, *spec.Source))
	}
	return max(spec.Required, st.Capacity), err
}

// beginClone writes down the copy, where the volume has room in what volumes may have. It counts from then on.
func (m *Manager) beginClone(s *lifecycle.Volumes, spec volume.Spec, from lifecycle.Origin) (st *copying.Status, err error) {
	wanted := spec
	if wanted.Required == 0 {
		wanted.Required = from.Least
	}
	if err := m.sizes.Fits(s.Store, wanted); err != nil {
		return nil, err
	}
	_, err = m.within(s, volume.IDFor(spec.Name), wanted.Required, func() (volume.Record, error) {
		st, err = s.BeginClone(spec, from)
		return volume.Record{Capacity: wanted.Required}, err
	})
	if err == nil {
		err = s.Clones().Ask(*st)
	}
	return st, err
}

// origin returns what is to be known of a source before it is copied; ErrNotFound, and ErrBusy for a snapshot that is
// not complete.
func (m *Manager) origin(ctx context.Context, of volume.Source) (lifecycle.Origin, error) {
	id, err := volume.ParseID(of.Volume + of.Snapshot)
	if err != nil {
		return lifecycle.Origin{}, errors.Join(err, volume.ErrNotFound)
	}
	if of.Volume != "" {
		r, err := m.Get(ctx, id)
		from := lifecycle.Origin{Source: of, Stamp: r.Stamp(), Least: r.Capacity}
		if r.Enforced {
			from.Held = r.Capacity
		}
		return from, err
	}
	return one(ctx, m, id.Volume, "", func(s *lifecycle.Volumes) (lifecycle.Origin, error) {
		st, dir, err := snapshot.New(s.Store).Open(id.ID)
		if err != nil {
			return lifecycle.Origin{}, err
		}
		dir.Close()
		return lifecycle.Origin{Source: of, Stamp: st.Stamp(), Held: st.Held, Least: st.Result.Size}, nil
	})
}
