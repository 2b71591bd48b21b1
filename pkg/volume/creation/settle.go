// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

const stepClaimedAgain = "path: claimed again"

// SettlePaths gives up the paths whose holders are dead, and finishes what a kill has left of giving up one. deleted
// are the stamps of volumes that are in the trash: their data may still be in its place. It returns the names of all
// claims that it has found.
func (s *Creations) SettlePaths(deleted map[string]bool) (found map[string]bool, err error) {
	claims, err := s.Files(owndir.PathsDir)
	errs := []error{err}
	found = map[string]bool{}
	unneeded := map[string]bool{}
	for _, claim := range claims {
		found[claim.Name] = true
		needed, err := s.SettleClaim(claim, deleted, s.IsAbandoned(&s.Memory.Paths, claim.Name))
		errs = append(errs, volume.IgnoreNotExist(err))
		if err == nil && !needed {
			unneeded[claim.Name] = true
		}
	}
	s.Memory.Paths.Keep(unneeded)
	return found, errors.Join(errs...)
}

// ClaimAgain claims the path of a volume that was ready a moment ago and has lost its claim, if its directory is in its
// place, and unless another that lives has the path: then it returns fs.ErrExist. Another controller may be giving the
// volume up, and looks for the claim when the record has gone. So the record is looked for when the claim is there: one
// of the two sees the other (TestAClaimThatIsMadeAgainIsNotLeftByAVolumeThatGoes).
func (s *Creations) ClaimAgain(r volume.Record) error {
	isOf := volume.IsOfVolume(r.Stamp())
	held, err := s.HolderOf(r.Path)
	if volume.IgnoreNotExist(err) != nil || isOf(held) { // one that was moved aside is back
		return volume.IgnoreNotExist(err)
	}
	if err := errors.Join(r.CheckWritable(), s.CheckInPlace(r)); err != nil {
		return err
	}
	if err := s.Commit(); err != nil { // that the name is free, before it is another file's
		return err
	}
	claim := volume.PathClaim{Stamp: r.Stamp(), Path: r.Path}
	if held, err = s.ClaimPath(claim); isOf(held) {
		err = volume.IgnoreExist(err)
	}
	if err != nil {
		return err
	}
	s.Step(stepClaimedAgain)
	lives, err := s.Lives(claim)
	if err == nil && !lives {
		err = s.ReleasePath(r.Path, func(h volume.PathClaim) bool { return h == claim })
	}
	return errors.Join(err, s.Commit())
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
