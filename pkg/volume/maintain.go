// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// maintenancePeriod is how often the trash is looked at.
const maintenancePeriod = time.Minute

// Maintain empties the trash and finishes what was interrupted, on every Gluster volume
// of the clusters file, until ctx is done. One that does not answer holds up no other.
func (m *Manager) Maintain(ctx context.Context, retention time.Duration) {
	var all sync.WaitGroup
	defer all.Wait()
	var mu sync.Mutex
	busy := map[gluster.Volume]bool{}
	ticker := time.NewTicker(maintenancePeriod)
	defer ticker.Stop()
	for {
		if clusters, err := m.clusters.Current(); err == nil {
			for _, v := range clusters.Volumes() {
				mu.Lock()
				skip := busy[v]
				busy[v] = true
				mu.Unlock()
				if skip {
					continue
				}
				all.Go(func() {
					m.maintain(ctx, v, retention)
					mu.Lock()
					delete(busy, v)
					mu.Unlock()
				})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m *Manager) maintain(ctx context.Context, v gluster.Volume, retention time.Duration) {
	err := m.run(ctx, v, nil, "", func(_ context.Context, s *Store, _ *operation) error {
		err := s.Reconcile(ctx)
		_, reapErr := s.Reap(ctx, retention)
		return errors.Join(err, reapErr)
	})
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "Maintenance left something undone; it is tried again in a minute", "glusterVolume", v.String())
	}
}
