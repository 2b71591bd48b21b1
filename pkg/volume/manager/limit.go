// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// enforces says whether a new volume is to be held to its capacity. ErrUnlimited where it must be and cannot.
func (m *Manager) enforces(ctx context.Context, v gluster.Volume, spec volume.Spec) (bool, error) {
	switch {
	case spec.Quota != volume.QuotaAuto && spec.Quota != volume.QuotaEnforced, spec.Quota == volume.QuotaAuto && spec.Required == 0:
		return false, nil
	case spec.Required == 0:
		return false, fmt.Errorf("volume %s is to be held to a size, and none is asked for: %w: `quota: enforced` needs a required capacity",
			volume.IDFor(spec.Name), volume.ErrInvalid)
	}
	state, err := m.quotas.Get(ctx, v)
	if err != nil {
		return false, fmt.Errorf("%w; with `quota: none` in the class nobody asks", err)
	}
	inexact := state.Check(v)
	if inexact != nil && spec.Quota == volume.QuotaEnforced {
		return false, fmt.Errorf("volume %s is to be held to its size: %w: %w", volume.IDFor(spec.Name), volume.ErrUnlimited, inexact)
	}
	if inexact != nil && state.On {
		klog.FromContext(ctx).Info("Volumes may be filled beyond their limits", "glusterVolume", v.String(), "why", inexact.Error())
	}
	return state.On, nil
}

// privileged returns what opens the root of the client that sets limits, which is started when it is needed.
func (m *Manager) privileged(ctx context.Context, v gluster.Volume) func() (*safepath.Dir, func(), error) {
	return func() (*safepath.Dir, func(), error) {
		return opened(ctx, v, func(ctx context.Context) (*client.Client, error) { return m.host.EnsurePrivileged(ctx, v) })
	}
}

// clientStarts is how long a client for one task may take to start, and to have its bricks.
const clientStarts = 30 * time.Second

// opened starts a client, if there is none, and opens its root.
func opened(ctx context.Context, v gluster.Volume, ensure func(context.Context) (*client.Client, error)) (*safepath.Dir, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, clientStarts)
	defer cancel()
	c, err := ensure(ctx)
	if err != nil {
		return nil, nil, err
	}
	release := c.Hold()
	root, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		release()
		return nil, nil, err
	}
	return root.Called(v.String()), func() { root.Close(); release() }, nil
}

// limited remembers when limits were looked at last.
type limited struct {
	mu      sync.Mutex
	wasOn   bool
	version string // of quota, then
	settled time.Time
}

// isDue says whether to look at limits: once an hour, and as soon as quota is on again, since all were lost with it,
// also if it was off between two looks.
func (l *limited) isDue(now quota.State) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := now.On && (!l.wasOn || now.Version != l.version || time.Since(l.settled) > owndir.Abandoned)
	l.wasOn, l.version = now.On, now.Version
	return due
}

// done says that all limits were looked at, or not: then they are due again.
func (l *limited) done(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wasOn, l.settled = l.wasOn && all, time.Now()
}

// settleLimits is Volumes.SettleLimits where that is due.
func (m *Manager) settleLimits(ctx context.Context, v gluster.Volume) error {
	state, err := m.quotas.Get(ctx, v)
	m.tellQuota(v, m.showState(v, state, err), state) //nolint:contextcheck // what it remembers outlives the call
	if err != nil {
		klog.FromContext(ctx).Error(err, "It is not known whether volumes are held to their limits", "glusterVolume", v.String())
		return nil // which is no reason to repeat everything else
	}
	limits := &m.remember(v).limits //nolint:contextcheck // what it makes outlives the call
	if !limits.isDue(state) {
		return nil
	}
	err = m.run(ctx, v, m.own, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) error {
		set, err := s.SettleLimits(ctx, func(id string) (func(), bool) { return m.locks.try(lockKey(v, id)) }) //nolint:contextcheck // try does not wait
		m.limits.WithLabelValues(v.Cluster, v.Name).Add(float64(set))
		return err
	})
	limits.done(err == nil)
	return err
}
