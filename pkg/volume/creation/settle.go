// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// SettlePaths gives up the paths whose holders are dead, and finishes what a kill has left of giving up one. deleted
// are the stamps of volumes that are in the trash: their data may still be in its place.
func (s *Creations) SettlePaths(deleted map[string]bool) error {
	claims, err := s.Files(store.PathsDir)
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
func (s *Creations) SettleClaim(claim store.File, deleted map[string]bool, sure bool) (needed bool, err error) {
	if strings.Contains(claim.Name, store.AsideSuffix) {
		if !sure {
			return false, nil
		}
		return false, s.SettlePath(claim.Dir, claim.Name, func(h volume.PathClaim) (bool, error) {
			needed, err := s.isNeeded(h)
			return !needed, err
		})
	}
	content, err := store.Readlink(claim.Dir, claim.Name)
	if err != nil {
		return false, err
	}
	h, err := volume.ParsePathClaim(content)
	if err != nil {
		return false, err
	}
	if deleted[h.Stamp] && !h.Parent {
		return true, nil
	}
	if needed, err := s.isNeeded(h); err != nil || needed || !sure {
		return needed, err
	}
	if !h.Parent && h.Entry == "" {
		err := s.takeBack(h.Creation())
		if errors.Is(err, volume.ErrForeign) { // something is in the directory: that is for Check to say
			return true, nil
		}
		return false, err
	}
	return false, s.ReleasePath(h.Path, func(held volume.PathClaim) bool { return held == h })
}

// isNeeded says whether a claim still means something. That of a parent is of all volumes below it.
func (s *Creations) isNeeded(h volume.PathClaim) (bool, error) {
	needed, err := s.Lives(h)
	if err == nil && !needed && h.Parent {
		var free bool
		free, err = s.IsFree(h.Path)
		needed = !free
	}
	return needed, err
}
