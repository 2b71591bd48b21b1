// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// mendOwner sets what was asked for by name and is not so. Where a group is granted, it
// decides about group and mode.
func mendOwner(dir *safepath.Dir, owner volume.Owner, granted bool) error {
	if granted {
		owner.GID, owner.Mode = nil, nil
	}
	if owner == (volume.Owner{}) {
		return nil
	}
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	uid, gid, mode := or(owner.UID, st.Uid), or(owner.GID, st.Gid), or(owner.Mode, volume.Mode(st.Mode&0o7777))
	chown := uid != st.Uid || gid != st.Gid
	if chown {
		if err := dir.Chown(int(uid), int(gid)); err != nil {
			return err
		}
	}
	// A change of owner may have cleared setgid.
	if chown || uint32(mode) != st.Mode&0o7777 {
		return dir.Chmod(uint32(mode))
	}
	return nil
}

// setOwner sets what mkdir could not. The mode comes last: a change of owner clears setgid, and
// until the mode is set nobody but root can enter.
func (s *Volumes) setOwner(dir *safepath.Dir, owner volume.Owner) error {
	st, err := dir.StatAsKnown() // it was made a moment ago
	if err != nil {
		return err
	}
	uid, gid := or(owner.UID, 0), or(owner.GID, 0)
	if uid != st.Uid || gid != st.Gid {
		if err := dir.Chown(int(uid), int(gid)); err != nil {
			return err
		}
	}
	s.Step(stepOwned)
	if err := dir.Chmod(uint32(or(owner.Mode, volume.DefaultMode))); err != nil {
		return err
	}
	s.Step(stepMode)
	return nil
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

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
