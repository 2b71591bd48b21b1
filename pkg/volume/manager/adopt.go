// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// Adopt is Volumes.Adopt.
func (m *Manager) Adopt(ctx context.Context, id volume.ID, path string, capacity int64) (volume.Record, error) {
	return changing(ctx, m, id.Volume, id.ID, func(s *lifecycle.Volumes) (volume.Record, error) {
		return s.Adopt(context.WithoutCancel(ctx), id.ID, path, capacity)
	})
}

// GiveBack is Volumes.GiveBack.
func (m *Manager) GiveBack(ctx context.Context, id volume.ID) error {
	_, err := changing(ctx, m, id.Volume, id.ID, func(s *lifecycle.Volumes) (struct{}, error) { return struct{}{}, s.GiveBack(id.ID) })
	return err
}
