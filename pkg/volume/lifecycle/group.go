// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// GrantGroup lets the group read and write all of a volume, unless it is so already. A directory that an operator
// made is looked through before: ErrNested, and nothing changed, if there is a volume in it.
func (s *Volumes) GrantGroup(ctx context.Context, id string, dir *safepath.Dir, gid uint32) error {
	granted, err := tree.Granted(dir, gid)
	if err != nil || granted {
		return s.Explain(err)
	}
	_, err = s.GetAsMade(id)
	isStatic := errors.Is(err, volume.ErrNotFound)
	if err != nil && !isStatic {
		return err
	}
	own, err := s.KeepOut(ctx, isStatic)
	if err != nil {
		return s.Explain(err)
	}
	if isStatic {
		if err := tree.Check(ctx, dir, own, s.Permit); err != nil {
			return s.Explain(fmt.Errorf("a group (fsGroup) would get all that is in the directory of volume %s: %w", id, err))
		}
	}
	err = tree.Grant(ctx, dir, gid, own, s.Permit)
	if errors.Is(err, tree.ErrMoved) {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	if err != nil {
		return s.Explain(fmt.Errorf("grant %s to group %d: %w", dir.Name(), gid, err))
	}
	return nil
}
