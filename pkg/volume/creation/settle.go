// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// SettlePaths gives up the paths whose holders are dead, and finishes what a kill has left of giving up one. deleted
// are the stamps of volumes that are in the trash: their data may still be in its place.
func (s *Creations) SettlePaths(deleted map[string]bool) error {
	claims, err := s.Files(owndir.PathsDir)
	errs := []error{err}
	unneeded := map[string]bool{}
	for _, claim := range claims {
		needed, err := s.SettleClaim(claim, deleted, s.IsAbandoned(&s.Memory.Paths, claim.Name))
		errs = append(errs, volume.IgnoreNotExist(err))
		if err == nil && !needed {
			unneeded[claim.Name] = true
		}
	}
	s.Memory.Paths.Keep(unneeded)
	return errors.Join(errs...)
}

// SettleClaim gives up one path, or finishes giving it up, if nobody needs it, and that is sure: what the kernel of a
// client without fresh names knows of a volume that was just made again may be of the one before. With it goes what a
// creation has left that was killed before its record was written.
func (s *Creations) SettleClaim(claim owndir.File, deleted map[string]bool, sure bool) (needed bool, err error) {
	content, err := owndir.Readlink(claim.Dir, claim.Name)
	if err != nil {
		return false, err
	}
	h, err := volume.ParsePathClaim(content)
	if err != nil {
		return false, err
	}
	if strings.Contains(claim.Name, store.AsideSuffix) {
		return false, s.settleAside(claim, h, sure)
	}
	if deleted[h.Stamp] && !h.Parent {
		return true, nil
	}
	if needed, err := s.IsNeeded(h); err != nil || needed || !sure {
		return needed, err
	}
	if !h.Parent && h.Entry == "" {
		err := s.takeBack(h.Creation())
		if errors.Is(err, volume.ErrForeign) { // something is in the directory: that is for Check to say
			return true, nil
		}
		return false, err
	}
	return false, s.GivePathUp(h.Path, func(moved volume.PathClaim) (bool, error) {
		if moved != h {
			return false, nil
		}
		needed, err := s.IsNeeded(h)
		return !needed, err
	})
}

// settleAside is SettleClaim of one that was moved aside. One that is needed goes back at once.
func (s *Creations) settleAside(claim owndir.File, h volume.PathClaim, sure bool) error {
	needed, err := s.IsNeeded(h)
	if err != nil || !needed && !sure {
		return err
	}
	return s.SettlePath(claim.Dir, claim.Name, func(h volume.PathClaim) (bool, error) {
		needed, err := s.IsNeeded(h)
		return !needed, err
	})
}
