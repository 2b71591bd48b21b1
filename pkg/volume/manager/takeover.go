// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// ErrRenewed says of a Kubernetes cluster that its controller runs.
var ErrRenewed = errors.New("its controller runs: it has just renewed its lease on the Gluster volume")

// leases says how often the lease of a Kubernetes cluster is renewed and looked at, and when nobody renews it any more.
type leases struct{ renewed, looked, lasts time.Duration }

var defaultLeases = leases{store.LeaseRenewed, store.LeaseRenewed / 6, store.LeaseLasts}

// keepLease says on a Gluster volume, until ctx is done, that this Kubernetes cluster has a controller.
func (m *Manager) keepLease(ctx context.Context, v gluster.Volume) {
	isSaid := false
	renew := func(ctx context.Context) {
		err := m.change(ctx, v, "", func(s *lifecycle.Volumes) error { return s.RenewLease() })
		if err != nil && !isSaid && ctx.Err() == nil && !errors.Is(err, gluster.ErrRestricted) { // that is said when it is found
			klog.FromContext(ctx).Error(err, "The lease of this Kubernetes cluster is not renewed; another may take its volumes over meanwhile, if it is told to",
				"glusterVolume", v.String())
		}
		isSaid = err != nil
	}
	panics.EveryFromNow(ctx, m.leases.renewed, "renewal of a lease", renew)
}

// Watch returns nil when nobody has renewed the lease of a Kubernetes cluster on a Gluster volume for as long as one lasts, which
// it waits for, and an ErrRenewed as soon as somebody does. Where there is no lease it returns at once.
func (m *Manager) Watch(ctx context.Context, v gluster.Volume, kubernetes string) (isThere bool, err error) {
	for began, first := time.Now(), true; ; first = false {
		lease, err := one(ctx, m, v, "", func(s *lifecycle.Volumes) (store.Lease, error) { return s.LookAtLease(kubernetes) })
		switch {
		case err != nil || !lease.There:
			return false, err
		case !first && lease.Unchanged == 0:
			return true, ErrRenewed
		case time.Since(began) >= m.leases.lasts:
			return true, nil
		}
		select {
		case <-ctx.Done():
			return true, context.Cause(ctx)
		case <-time.After(m.leases.looked):
		}
	}
}

// TakenOver is how many volumes and trash entries a Kubernetes cluster has got.
type TakenOver struct{ Volumes, Trash int }

// TakeOver makes what another Kubernetes cluster has on a Gluster volume this one's, one after the other: what it returned is, also
// with an error. Who calls it has watched the other's lease. ErrInvalid where this process does not know whose it works for, or
// works for that one.
func (m *Manager) TakeOver(ctx context.Context, v gluster.Volume, from string) (TakenOver, error) {
	var done TakenOver
	own, err := m.Kubernetes(ctx)
	switch {
	case err != nil:
		return done, err
	case own == "":
		return done, fmt.Errorf("it is not known which Kubernetes cluster this is, as no controller on this host has said it: %w", volume.ErrInvalid)
	case own == from:
		return done, fmt.Errorf("this is Kubernetes cluster %s: there is nothing to take over: %w", from, volume.ErrInvalid)
	}
	if err := m.takeOverVolumes(ctx, v, from, &done); err != nil {
		return done, err
	}
	entries, err := m.Trash(ctx, v)
	errs := []error{err}
	for _, e := range entries {
		if e.Kubernetes() != from {
			continue
		}
		is, err := changing(ctx, m, v, e.Record.ID, func(s *lifecycle.Volumes) (bool, error) { return s.TakeOverEntry(e.Name, from) })
		if is {
			done.Trash++
		}
		errs = append(errs, err)
	}
	errs = append(errs, m.change(ctx, v, "", func(s *lifecycle.Volumes) error { return s.Commit() })) // what a killed run did, too
	return done, errors.Join(errs...)
}

func (m *Manager) takeOverVolumes(ctx context.Context, v gluster.Volume, from string, done *TakenOver) error {
	var errs []error
	err := m.eachPage(ctx, v, func(all []Volume) error {
		for _, one := range all {
			if one.Record.Kubernetes != from {
				continue
			}
			is, err := changing(ctx, m, v, one.ID.ID, func(s *lifecycle.Volumes) (bool, error) { return s.TakeOver(one.ID.ID, from) })
			if is {
				done.Volumes++
			}
			errs = append(errs, err)
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}
