// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// Quota is whether a volume ends at its capacity.
type Quota string

// The choices; the first is the default.
const (
	QuotaAuto     Quota = "auto"     // where quota is on for the Gluster volume when the volume is made
	QuotaEnforced Quota = "enforced" // or there is no volume
	QuotaNone     Quota = "none"
)

// ParseQuota reads one of the choices.
func ParseQuota(s string) (Quota, error) {
	switch choice := Quota(s); choice {
	case QuotaAuto, QuotaEnforced, QuotaNone:
		return choice, nil
	}
	return "", fmt.Errorf("%q is none of %s, %s, %s", s, QuotaAuto, QuotaEnforced, QuotaNone)
}

// OrAuto is what was asked for where a record says nothing, as those of drivers that had no quota.
func (q Quota) OrAuto() Quota {
	if q == "" {
		return QuotaAuto
	}
	return q
}

const (
	stepLimited = "limit set"
	stepLifted  = "delete: limit lifted"
)

// enforces says whether a new volume is to be held to its capacity. ErrUnlimited where it must be and cannot.
func (m *Manager) enforces(ctx context.Context, v gluster.Volume, spec Spec) (bool, error) {
	switch {
	case spec.Quota != QuotaAuto && spec.Quota != QuotaEnforced, spec.Quota == QuotaAuto && spec.Required == 0:
		return false, nil
	case spec.Required == 0:
		return false, fmt.Errorf("volume %s is to be held to a size, and none is asked for: %w: `quota: enforced` needs a required capacity",
			IDFor(spec.Name), ErrInvalid)
	}
	state, err := m.quotas.Get(ctx, v)
	if err != nil {
		return false, fmt.Errorf("%w; with `quota: none` in the class nobody asks", err)
	}
	inexact := state.Check(v)
	if inexact != nil && spec.Quota == QuotaEnforced {
		return false, fmt.Errorf("volume %s is to be held to its size: %w: %w", IDFor(spec.Name), ErrUnlimited, inexact)
	}
	if inexact != nil && state.On {
		klog.FromContext(ctx).Info("Volumes may be filled beyond their limits", "glusterVolume", v.String(), "why", inexact.Error())
	}
	return state.On, nil
}

// privilegedStarts is how long the client that sets limits may take to start.
const privilegedStarts = 30 * time.Second

// privileged returns what opens the root of the client that sets limits, which is started when it is needed.
func (m *Manager) privileged(ctx context.Context, v gluster.Volume) func() (*safepath.Dir, func(), error) {
	return func() (*safepath.Dir, func(), error) {
		ctx, cancel := context.WithTimeout(ctx, privilegedStarts)
		defer cancel()
		c, err := m.host.EnsurePrivileged(ctx, v)
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
}

// onLimited calls do with the directory of a volume that is held to its capacity, as the client sees it that sets
// limits.
func (s *Store) onLimited(r Record, do func(*quota.Directory) error) error {
	root, release, err := s.privileged()
	if err != nil {
		return err
	}
	defer release()
	dir, err := quota.Open(root, r.Path)
	if err != nil {
		return notADirectory(err)
	}
	defer dir.Close()
	if err := s.isOwn(dir.Dir, r); err != nil {
		return err
	}
	return do(dir)
}

func (s *Store) limitOf(r Record) quota.Limit { return quota.Choose(r.Capacity, s.headroom) }

// limit holds a volume's directory to the capacity of its record, if it is to be.
func (s *Store) limit(r Record) error {
	if !r.Enforced {
		return nil
	}
	err := s.onLimited(r, func(dir *quota.Directory) error { return dir.SetLimit(s.limitOf(r)) })
	s.step(stepLimited)
	return err
}

// limitCurrent is limit with what was changed. What another has changed while the limit was set is set after it.
func (s *Store) limitCurrent(r Record) error {
	const attempts = 10
	now, err := s.current(r)
	for range attempts {
		if err == nil {
			err = s.limit(now)
		}
		if err != nil || !now.Enforced {
			return err
		}
		limited := now.Capacity
		if now, err = s.current(r); err == nil && now.Capacity == limited {
			return nil
		}
	}
	return errors.Join(err, fmt.Errorf("the capacity of volume %s on %s changes again and again: %w", r.ID, s.volume, ErrBusy))
}

// lift takes the limit from a directory that is given back. One that is not the volume's any more is left alone.
func (s *Store) lift(r Record) error {
	if !r.Enforced {
		return nil
	}
	err := s.onLimited(r, (*quota.Directory).LiftLimit)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign) {
		err = nil
	}
	s.step(stepLifted)
	return err
}

// settleLimits gives volumes the limits that they are to have and have not, because quota was turned off and on again or
// somebody has changed them, and returns how many. One that is in use is left for the next time.
func (s *Store) settleLimits(ctx context.Context, lock func(id string) (unlock func(), free bool)) (int, error) {
	set := 0
	err := s.forEach(ctx, func(r Record) error {
		if ctx.Err() != nil {
			return nil
		}
		if now, err := s.current(r); err != nil || !now.Enforced {
			return err
		}
		unlock, free := lock(r.ID)
		if !free {
			return nil
		}
		defer unlock()
		changed, err := s.settleLimit(ctx, r)
		if changed {
			set++
		}
		if err != nil {
			err = s.explain(fmt.Errorf("the limit of volume %s on %s: %w", r.ID, s.volume, err))
		}
		return err
	})
	if set > 0 {
		err = errors.Join(err, s.explain(s.commit()))
	}
	return set, err
}

func (s *Store) settleLimit(ctx context.Context, r Record) (changed bool, err error) {
	now, err := s.Get(r.ID)
	if errors.Is(err, ErrNotFound) || err == nil && (now.stamp() != r.stamp() || !now.Enforced) {
		return false, nil // deleted meanwhile, or held to nothing
	}
	if err != nil {
		return false, err
	}
	err = s.onLimited(now, func(dir *quota.Directory) error {
		have, limited, err := dir.Limit()
		if err != nil && !errors.Is(err, quota.ErrMalformed) || limited && have == s.limitOf(now) {
			return err
		}
		klog.FromContext(ctx).Info("A volume had another limit than it is to have", "glusterVolume", s.volume.String(), "volume", now.ID,
			"limited", limited, "bytes", have.Bytes, "percent", have.SoftPercent, "capacity", now.Capacity)
		changed = true
		return dir.SetLimit(s.limitOf(now))
	})
	return changed, err
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
	due := now.On && (!l.wasOn || now.Version != l.version || time.Since(l.settled) > abandoned)
	l.wasOn, l.version = now.On, now.Version
	return due
}

// done says that all limits were looked at, or not: then they are due again.
func (l *limited) done(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wasOn, l.settled = l.wasOn && all, time.Now()
}

// settleLimits is Store.settleLimits where that is due.
func (m *Manager) settleLimits(ctx context.Context, v gluster.Volume) error {
	state, err := m.quotas.Get(ctx, v)
	m.showState(v, state, err)
	if err != nil {
		klog.FromContext(ctx).Error(err, "It is not known whether volumes are held to their limits", "glusterVolume", v.String())
		return nil // which is no reason to repeat everything else
	}
	limits := &m.seen(v).limits //nolint:contextcheck // what it makes outlives the call
	if !limits.isDue(state) {
		return nil
	}
	err = m.run(ctx, v, m.own, "", func(_ context.Context, s *Store, _ *operation) error {
		set, err := s.settleLimits(ctx, func(id string) (func(), bool) { return m.locks.try(lockKey(v, id)) }) //nolint:contextcheck // try does not wait
		m.limits.WithLabelValues(v.Cluster, v.Name).Add(float64(set))
		return err
	})
	limits.done(err == nil)
	return err
}
