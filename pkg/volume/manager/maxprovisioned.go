// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// countLasts is how long a count may wait for GlusterFS.
const countLasts = 10 * time.Minute

func (m *Manager) bound(v gluster.Volume) gluster.Maximum {
	clusters, err := m.clusters.Current()
	if err != nil {
		return gluster.Maximum{}
	}
	return clusters.MaxProvisioned(v)
}

// counted returns when it is known what the volumes have together, if that is bounded: ErrBusy if ctx is done before.
func (m *Manager) counted(ctx context.Context, v gluster.Volume) error {
	if m.bound(v) == (gluster.Maximum{}) || m.provisioned.Of(v).IsKnown() {
		return nil
	}
	return m.count(ctx, v, true)
}

// recount is for the maintainer: of all volumes, or of those whose records have come and gone since the last time.
func (m *Manager) recount(ctx context.Context, v gluster.Volume, all bool) error {
	return m.count(ctx, v, all || !m.provisioned.Of(v).IsKnown())
}

// count goes on when ctx is done. Who comes meanwhile waits for the same.
func (m *Manager) count(ctx context.Context, v gluster.Volume, all bool) error {
	done := m.counting.DoChan(v.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countLasts)
		defer cancel()
		return nil, panics.Guard("count of what is provisioned", func() error {
			return m.run(ctx, v, m.own, "", func(ctx context.Context, s *lifecycle.Volumes, _ *operation) error {
				return m.provisioned.Of(v).Count(ctx, s.Store, all)
			})
		})
	})
	select {
	case result := <-done:
		if result.Err != nil {
			return fmt.Errorf("count what is provisioned on %s, for maxProvisioned of the clusters file and for the metrics: %w", v, result.Err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("what is provisioned on %s is still being counted; try again: %w", v, volume.ErrBusy)
	}
}

// within does what gives a volume a capacity, and returns ErrProvisioned instead where the volumes would have more
// together than they may. Nobody else gets meanwhile what it takes.
func (m *Manager) within(s *lifecycle.Volumes, id string, bytes int64, do func() (volume.Record, error)) (volume.Record, error) {
	bound := m.bound(s.Volume)
	most := int64(math.MaxInt64)
	if bound != (gluster.Maximum{}) {
		size, err := m.sizes.Total(s.Store)
		if err != nil {
			return volume.Record{}, err
		}
		most = bound.Of(size)
	}
	sum := m.provisioned.Of(s.Volume)
	if total, fits := sum.Reserve(id, bytes, most); !fits {
		have, err := s.Get(id)
		if err != nil && !errors.Is(err, volume.ErrNotFound) {
			return volume.Record{}, err
		}
		if err != nil || have.Capacity < bytes {
			return volume.Record{}, fmt.Errorf("volume %s would have %d bytes, and %s has %d left: %w: its volumes have %d of %d bytes, which is maxProvisioned %s in the clusters file; delete volumes, ask for less, or raise it",
				id, bytes, s.Volume, max(0, most-total), volume.ErrProvisioned, total, most, bound)
		}
		sum.Reserve(id, have.Capacity, total+have.Capacity) // it is there already, by another process
	}
	defer sum.End(id)
	r, err := do()
	now, there := r, err
	if err != nil {
		now, there = s.Get(id)
	}
	switch {
	case there == nil:
		sum.Set(id, now.Capacity)
	case errors.Is(there, volume.ErrNotFound):
		sum.Remove(id)
	} // else it may be there: what was reserved stays so until all are counted again
	return r, err
}

// unprovisioned returns what may be added to the volumes of a Gluster volume of that size, at most available.
func (m *Manager) unprovisioned(v gluster.Volume, available, size int64) int64 {
	bound := m.bound(v)
	if bound == (gluster.Maximum{}) {
		return available
	}
	return max(0, min(available, bound.Of(size)-m.provisioned.Of(v).Now()))
}
