// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// maintenancePeriod is how often the trash is looked at.
const maintenancePeriod = time.Minute

// Maintain empties the trash, goes on with copies, finishes what was interrupted, and renews the lease of this
// Kubernetes cluster, on every Gluster volume of the clusters file, until ctx is done. It keeps their clients from being
// idle. A Gluster volume that does not answer holds up no other.
func (m *Manager) Maintain(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	wake := map[gluster.Volume]chan struct{}{}
	forget := map[gluster.Volume]context.CancelFunc{}
	ticker := time.NewTicker(maintenancePeriod)
	defer ticker.Stop()
	for {
		if clusters, err := m.clusters.Current(); err == nil {
			for v, c := range wake {
				if !slices.Contains(clusters.Volumes(), v) {
					select {
					case <-c: // no round more
					default:
					}
					close(c) // it was taken out of the clusters file: let its client go
					delete(wake, v)
					forget[v]()
					m.forgetGauges(v) // a round that is under way may hang
				}
			}
			for _, v := range clusters.Volumes() {
				if wake[v] == nil {
					c := make(chan struct{}, 1)
					wake[v] = c
					all.Go(func() { m.maintainer(ctx, v, c) })
					listed, unlist := context.WithCancel(ctx)
					forget[v] = unlist
					all.Go(func() { m.keepCopying(listed, v) })
					all.Go(func() { m.keepLease(listed, v) })
				}
				select {
				case wake[v] <- struct{}{}:
				default: // it has not come back from the last time
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// forgetGauges is for a Gluster volume that was taken out of the clusters file.
func (m *Manager) forgetGauges(v gluster.Volume) {
	m.problems.DeletePartialMatch(prometheus.Labels{"cluster": v.Cluster, "volume": v.Name})
	m.quotaState.DeletePartialMatch(prometheus.Labels{"cluster": v.Cluster, "volume": v.Name})
	m.metrics.forget(v)
}

// maintainer looks after one Gluster volume each time it is woken.
func (m *Manager) maintainer(ctx context.Context, v gluster.Volume, wake <-chan struct{}) {
	release := func() {}
	defer func() { release() }()
	m.metrics.begin(v)
	var reconciled, reported time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case _, listed := <-wake:
			if !listed {
				m.forgetGauges(v) // what the last round has shown
				return
			}
		}
		// Nothing is abandoned before that time.
		reconcile := time.Since(reconciled) > owndir.Abandoned
		client, err := m.maintain(ctx, v, reconcile)
		if err == nil && reconcile {
			reconciled = time.Now()
		}
		if client != nil && time.Since(reported) > owndir.Abandoned { // also where there is something that nobody can mend
			reportErr := errors.Join(m.report(ctx, v), m.showFill(ctx, v))
			if reportErr == nil {
				reported = time.Now()
			}
			err = errors.Join(err, reportErr)
		}
		if client != nil {
			next, errView := m.keepOpen(client)
			release()
			release = next
			err = errors.Join(err, errView)
		}
		m.metrics.ended(v, err)
		if err != nil && ctx.Err() == nil && !errors.Is(err, gluster.ErrRestricted) { // that is said when it is found
			klog.FromContext(ctx).Error(err, "Maintenance left something undone; it is tried again in a minute", "glusterVolume", v.String())
		}
	}
}

// keepOpen keeps a client from being idle, and what is open of its Gluster volume from being closed between two
// operations.
func (m *Manager) keepOpen(c *client.Client) (release func(), err error) {
	leave, err := m.views.renew(c)
	if err != nil {
		return c.Hold(), err
	}
	held := c.Hold()
	return func() { leave(); held() }, nil
}

func (m *Manager) maintain(ctx context.Context, v gluster.Volume, reconcile bool) (*client.Client, error) {
	if err := m.settings.Get(ctx, v).Check(v); err != nil {
		return nil, err
	}
	client, err := m.host.Ensure(ctx, v, m.own)
	if err != nil {
		return nil, err
	}
	unused := errors.Join(m.giveUpUnused(ctx, v), m.settleLimits(ctx, v), m.recount(ctx, v, reconcile))
	m.metrics.showProvisioned(v, m.provisioned.Of(v))
	err = m.run(ctx, v, m.own, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) error {
		var err error
		if reconcile {
			err = s.Reconcile(ctx, func(id string) (func(), bool) { return m.locks.try(lockKey(v, id)) }) //nolint:contextcheck // try does not wait
		}
		reaped, reapErr := s.Trash.Reap(ctx, m.retention)
		m.metrics.showTrash(v, m.remember(v).trash, reaped) //nolint:contextcheck // what it makes outlives the call
		_, copiesErr := copying.Reap(ctx, s.Store)
		return errors.Join(err, reapErr, copiesErr, m.metrics.showSpace(s), m.tellReports(s))
	})
	return client, errors.Join(err, unused)
}
