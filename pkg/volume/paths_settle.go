// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"strings"
)

// settlePaths gives up the paths whose holders are dead, and finishes what a kill has left of giving up one. deleted
// are the stamps of volumes that are in the trash: their data may still be in its place.
func (s *Store) settlePaths(deleted map[string]bool) error {
	claims, err := s.files(pathsDir)
	errs := []error{err}
	unneeded := map[string]bool{}
	for _, claim := range claims {
		needed, err := s.settleClaim(claim, deleted, s.isAbandoned(&s.memory.paths, claim.name))
		errs = append(errs, ignoreNotExist(err))
		if err == nil && !needed {
			unneeded[claim.name] = true
		}
	}
	s.memory.paths.keep(unneeded)
	return errors.Join(errs...)
}

// settleClaim gives up one path, or finishes giving it up, if nobody needs it, and that is sure: what the kernel of a
// client without fresh names knows of a volume that was just made again may be of the one before. With it goes what a
// creation has left that was killed before its record was written.
func (s *Store) settleClaim(claim file, deleted map[string]bool, sure bool) (needed bool, err error) {
	if name, _, aside := strings.Cut(claim.name, asideSuffix); aside {
		if !sure {
			return false, nil
		}
		return false, s.settlePath(claim.dir, name, claim.name, func(h holder) (bool, error) {
			needed, err := s.isNeeded(h)
			return !needed, err
		})
	}
	content, err := readlink(claim.dir, claim.name)
	if err != nil {
		return false, err
	}
	h, err := parseHolder(content)
	if err != nil {
		return false, err
	}
	if deleted[h.stamp] && !h.parent {
		return true, nil
	}
	if needed, err := s.isNeeded(h); err != nil || needed || !sure {
		return needed, err
	}
	if !h.parent && h.entry == "" {
		err := s.takeBack(h.creation())
		if errors.Is(err, ErrForeign) { // something is in the directory: that is for Check to say
			return true, nil
		}
		return false, err
	}
	return false, s.releasePath(h.path, func(held holder) bool { return held == h })
}

// isNeeded says whether a claim still means something. That of a parent is of all volumes below it.
func (s *Store) isNeeded(h holder) (bool, error) {
	needed, err := s.lives(h)
	if err == nil && !needed && h.parent {
		var free bool
		free, err = s.isFree(h.path)
		needed = !free
	}
	return needed, err
}
