// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// ChangeOwnerBelow changes the owner and the group of what is in a volume, -1 standing for what stays, and not those of
// its directory; the volume may be deleted meanwhile. It takes as long as there are files, and counts in visited how many
// it has come to. What it has changed is on the disks of all bricks that are up. ErrBusy where the application moved
// directories while it walked: what is left is found by a repetition.
func (s *Volumes) ChangeOwnerBelow(ctx context.Context, id string, uid, gid int, visited *atomic.Int64) error {
	r, err := s.GetAsMade(id)
	if err != nil {
		return err
	}
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		return s.Explain(volume.NotADirectory(err))
	}
	defer dir.Close()
	err = s.CheckIdentity(dir, r)
	var own tree.Own
	if err == nil {
		own, err = s.KeepOut(ctx, false)
	}
	if err == nil {
		err = tree.Chown(ctx, dir, uid, gid, own, s.Permit, visited)
	}
	if err == nil {
		err = s.Commit()
	}
	if errors.Is(err, tree.ErrMoved) {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("change the owner of what is in volume %s on %s: %w", id, s.Volume, err))
	}
	return err
}
