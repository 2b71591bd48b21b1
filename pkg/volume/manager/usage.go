// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// Used is Volumes.Used of volumes on one Gluster volume.
func (m *Manager) Used(ctx context.Context, v gluster.Volume, all []Volume) (map[string]int64, error) {
	return one(ctx, m, v, "", func(s *lifecycle.Volumes) (map[string]int64, error) {
		records := make([]volume.Record, len(all))
		for i, one := range all {
			records[i] = one.Record
		}
		return s.Used(ctx, records)
	})
}
