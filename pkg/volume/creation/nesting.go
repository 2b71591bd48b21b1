// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// No volume is in another: what is above one is held as a parent, and what is a volume is no parent.

// claimParent returns who holds the path of a parent, and has it held where nobody does.
func (s *Creations) claimParent(ancestor, stamp string) (volume.PathClaim, error) {
	held, err := s.ClaimPath(volume.PathClaim{Stamp: stamp, Parent: true, Path: ancestor})
	err = volume.IgnoreExist(err)
	if err == nil && !held.Parent {
		err = s.NestedError(ancestor, held)
	}
	return held, err
}

// stillParent is claimParent again. As a rule what held the path holds it still.
func (s *Creations) stillParent(held volume.PathClaim, stamp string) error {
	now, err := s.HolderOf(held.Path)
	if err = volume.IgnoreNotExist(err); err == nil && now != held {
		_, err = s.claimParent(held.Path, stamp)
	}
	return err
}

// NestedError is the ErrNested of a directory that is a volume, where one that holds volumes is wanted.
func (s *Creations) NestedError(ancestor string, held volume.PathClaim) error {
	return fmt.Errorf("directory %s on %s is %s: %w", ancestor, s.Volume, s.WithOwner(volume.IDOfStamp(held.Stamp)), volume.ErrNested)
}

// WhoHolds returns the holder of the directory at a path, by its claim or by the mark of a volume of schema 1 that has
// not been taken over. It is no holder if nobody has it.
func (s *Creations) WhoHolds(dir *safepath.Dir, p string) (volume.PathClaim, error) {
	held, err := s.HolderOf(p)
	if err == nil || volume.IgnoreNotExist(err) != nil {
		return held, err
	}
	mark, err := dir.Xattr(store.MarkXattr)
	return volume.PathClaim{Stamp: mark}, err
}
