// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

const (
	stepLimited = "limit set"
	stepLifted  = "delete: limit lifted"
)

// onLimited calls do with the directory of a volume that is held to its capacity, as the client sees it that sets
// limits.
func (s *Volumes) onLimited(r volume.Record, do func(*quota.Directory) error) error {
	root, release, err := s.Privileged()
	if err != nil {
		return err
	}
	defer release()
	dir, err := quota.Open(root, r.Path)
	if err != nil {
		return volume.NotADirectory(err)
	}
	defer dir.Close()
	if err := s.CheckIdentity(dir.Dir, r); err != nil {
		return err
	}
	return do(dir)
}

func (s *Volumes) limitOf(r volume.Record) quota.Limit { return quota.Choose(r.Capacity, s.Headroom) }

// limit holds a volume's directory to the capacity of its record, if it is to be.
func (s *Volumes) limit(r volume.Record) error {
	if !r.Enforced {
		return nil
	}
	err := s.onLimited(r, func(dir *quota.Directory) error { return dir.SetLimit(s.limitOf(r)) })
	s.Step(stepLimited)
	return err
}

// limitCurrent is limit with what was changed, and Commit. now is the record with that; what another has changed while
// the limit was set is set after it, and what another has given back gets none
// (TestWhatIsGivenBackWhileItIsExpandedHasNoLimit).
func (s *Volumes) limitCurrent(r, now volume.Record) error {
	const attempts = 10
	var err error
	for range attempts {
		if err = s.limit(now); err != nil {
			return s.orDeleted(r, err)
		}
		if !now.Enforced {
			return s.Commit()
		}
		limited := now
		var f store.Lookup
		err = s.both((*Volumes).Commit, func(s *Volumes) error {
			var seen store.Changed
			var err error
			f, seen, err = s.FindChanged(r.ID)
			now = seen.ApplyTo(r)
			return err
		})
		switch {
		case err != nil:
			return err
		case f.State != store.Ready || f.Record.Stamp() != r.Stamp(): // one that is only in the trash keeps its limit
			given, err := s.IsGivenUp(r.Stamp())
			if err != nil || !given {
				return err
			}
			return errors.Join(s.lift(limited), s.Commit())
		case !now.Enforced:
			return errors.Join(s.lift(limited), s.Commit())
		case now.Capacity == limited.Capacity:
			return nil
		}
	}
	return fmt.Errorf("the capacity of volume %s on %s changes again and again: %w", r.ID, s.Volume, volume.ErrBusy)
}

// orDeleted is the error of what could not be done to a volume's directory: ErrNotFound where the volume went meanwhile.
func (s *Volumes) orDeleted(r volume.Record, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ready, readyErr := s.IsReady(r)
	if readyErr == nil && !ready {
		err = fmt.Errorf("volume %s on %s was deleted meanwhile: %w", r.ID, s.Volume, volume.ErrNotFound)
	}
	return errors.Join(err, readyErr)
}

// lift takes the limit from a directory that is given back. One that is not the volume's any more is left alone.
func (s *Volumes) lift(r volume.Record) error {
	if !r.Enforced {
		return nil
	}
	err := s.onLimited(r, (*quota.Directory).LiftLimit)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, volume.ErrForeign) {
		err = nil
	}
	s.Step(stepLifted)
	return err
}

// SettleLimits gives volumes the limits that they are to have and have not, because quota was turned off and on again
// or somebody has changed them, and returns how many. One that is in use is left for the next time.
func (s *Volumes) SettleLimits(ctx context.Context, lock func(id string) (unlock func(), free bool)) (int, error) {
	set := 0
	err := s.ForEach(ctx, func(r volume.Record) error {
		if ctx.Err() != nil {
			return nil
		}
		if now, err := s.Current(r); err != nil || !now.Enforced {
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
			err = s.Explain(fmt.Errorf("the limit of volume %s on %s: %w", r.ID, s.Volume, err))
		}
		return err
	})
	if set > 0 {
		err = errors.Join(err, s.Explain(s.Commit()))
	}
	return set, err
}

func (s *Volumes) settleLimit(ctx context.Context, r volume.Record) (changed bool, err error) {
	now, err := s.Get(r.ID)
	if errors.Is(err, volume.ErrNotFound) || err == nil && (now.Stamp() != r.Stamp() || !now.Enforced) {
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
		klog.FromContext(ctx).Info("A volume had another limit than it is to have", "glusterVolume", s.Volume.String(), "volume", now.ID,
			"limited", limited, "bytes", have.Bytes, "percent", have.SoftPercent, "capacity", now.Capacity)
		changed = true
		return dir.SetLimit(s.limitOf(now))
	})
	return changed, err
}
