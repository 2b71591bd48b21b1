// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// changing is one of what changes something on the Gluster volume. Where an option of that forbids it, it is not begun,
// so nothing half made is left, and the error is an ErrRestricted.
func changing[T any](ctx context.Context, m *Manager, v gluster.Volume, key string, fn func(*lifecycle.Volumes) (T, error)) (T, error) {
	if err := m.settings.Get(ctx, v).Check(v); err != nil {
		var nothing T
		return nothing, err
	}
	return one(ctx, m, v, key, fn)
}

// change is changing for what has no result.
func (m *Manager) change(ctx context.Context, v gluster.Volume, key string, fn func(*lifecycle.Volumes) error) error {
	_, err := changing(ctx, m, v, key, func(s *lifecycle.Volumes) (struct{}, error) { return struct{}{}, fn(s) })
	return err
}

// mayCreate returns an ErrRestricted where an option of the Gluster volume forbids to make a volume: an ErrUnfinished,
// too, unless nothing of this one is there. After any other error the provisioner forgets it when its claim is deleted.
func (m *Manager) mayCreate(ctx context.Context, v gluster.Volume, id string) error {
	why := m.settings.Get(ctx, v).Check(v)
	if why == nil {
		return nil
	}
	isAbsent, err := one(ctx, m, v, "", func(s *lifecycle.Volumes) (bool, error) {
		f, err := s.Find(id)
		return f.State == store.Absent, err
	})
	if isAbsent && err == nil {
		return why
	}
	return unfinished(why)
}

// unfinished adds an ErrUnfinished to what has stopped a creation half-way and is an ErrRestricted.
func unfinished(err error) error {
	if errors.Is(err, gluster.ErrRestricted) {
		return fmt.Errorf("%w; %w", err, volume.ErrUnfinished)
	}
	return err
}

// explain says of an operation's error which option of the Gluster volume is the reason, where one is: where the
// operation was begun all the same, or none of it was to change anything.
func (m *Manager) explain(ctx context.Context, v gluster.Volume, err error) error {
	if !errors.Is(err, volume.ErrReadOnly) && !errors.Is(err, volume.ErrRefused) {
		return err
	}
	return restricted(m.settings.Again(ctx, v), v, err)
}

// neverMade says of a volume that is not there, and is to be published, that it may not have been made for this reason.
func (m *Manager) neverMade(ctx context.Context, v gluster.Volume, err error) error {
	if !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	return restricted(m.settings.Get(ctx, v), v, err)
}

func restricted(s settings.Settings, v gluster.Volume, err error) error {
	if why := s.Check(v); why != nil {
		return fmt.Errorf("%w; %w", why, err)
	}
	return err
}

// sayBent says in the log which mode a new volume has got, where the bricks gave it another than it was to have.
func (m *Manager) sayBent(ctx context.Context, v gluster.Volume, spec volume.Spec) {
	modes := m.settings.Get(ctx, v).Modes
	wanted := volume.DefaultMode
	if spec.Owner.Mode != nil {
		wanted = *spec.Owner.Mode
	}
	if got := volume.Mode(modes.Of(uint32(wanted))); got != wanted {
		klog.FromContext(ctx).Info("The bricks gave a volume another mode than it was to have", "glusterVolume", v.String(),
			"volume", volume.IDFor(spec.Name), "wanted", wanted.String(), "got", got.String(), "options", modes.Options())
	}
}
