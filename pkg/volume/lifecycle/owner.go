// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
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
	st, err := dir.Stat()
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
