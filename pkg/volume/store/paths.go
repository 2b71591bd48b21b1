// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// A path is claimed before anything is made there, by a symbolic link in paths/ that is named after the path and says
// who holds it. Making a symbolic link is one step and exclusive on every kind of Gluster volume (a link lies on one
// brick of a distributed one; a directory, and its xattrs, on all), so of two that want one path one gets it:
// TestOfTwoThatWantOnePathOneGetsIt, on a distributed volume too.
//
// A holder that is dead (killed between two steps, and undone by name) is found out by looking whether what it names
// is there: a creation, a volume, a restoration.

const stepPathAside = "path: claim moved aside"

// pathShard is the directory in which a path is claimed. A claim that was made when all were in one is moved on.
func (s *Store) pathShard(name string) (*safepath.Dir, error) {
	paths, err := s.EnsureShard(PathsDir, name)
	if err != nil || s.Memory.flat.isEmpty(PathsDir) {
		return paths, err
	}
	flat, err := s.ownDirectory(PathsDir)
	if err != nil {
		return nil, err
	}
	if flat != paths {
		if err := flat.Rename(name, paths, name); volume.IgnoreNotExist(err) != nil {
			return nil, err
		}
	}
	return paths, nil
}

// HolderOf returns who holds a path; fs.ErrNotExist if nobody does.
func (s *Store) HolderOf(path string) (volume.PathClaim, error) {
	name := volume.PathClaimName(path)
	shards, err := s.ExistingShards(PathsDir, name)
	if err != nil {
		return volume.PathClaim{}, err
	}
	for _, dir := range shards {
		content, err := Readlink(dir, name)
		if err == nil {
			return volume.ParsePathClaim(content)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return volume.PathClaim{}, err
		}
	}
	return volume.PathClaim{}, fmt.Errorf("the claim of path %s on %s: %w", path, s.Volume, fs.ErrNotExist)
}

// ClaimPath makes h the holder of its path, unless another that lives is: then it returns that one and fs.ErrExist.
func (s *Store) ClaimPath(h volume.PathClaim) (volume.PathClaim, error) {
	paths, err := s.pathShard(volume.PathClaimName(h.Path))
	if err != nil {
		return volume.PathClaim{}, err
	}
	const attempts = 3
	for range attempts {
		claimed := s.makeClaim(paths, h)
		if !errors.Is(claimed, fs.ErrExist) {
			return h, claimed
		}
		other, err := s.HolderOf(h.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // given up meanwhile
		}
		if err != nil {
			return volume.PathClaim{}, err
		}
		lives, err := s.livesBeside(other, h)
		if err != nil || lives || other == h {
			return other, errors.Join(err, claimed)
		}
		// Looked at once more when it is moved: its record may have been made meanwhile.
		if err := s.GivePathUp(h.Path, func(moved volume.PathClaim) (bool, error) {
			lives, err := s.livesBeside(moved, h)
			return moved == other && !lives, err
		}); err != nil {
			return volume.PathClaim{}, err
		}
	}
	return volume.PathClaim{}, fmt.Errorf("path %s on %s is claimed and given up again and again: %w", h.Path, s.Volume, volume.ErrBusy)
}

// makeClaim is exclusive, and the name's only file on every disk.
func (s *Store) makeClaim(paths *safepath.Dir, h volume.PathClaim) error {
	return s.ClaimLink(paths, h.String(), volume.PathClaimName(h.Path))
}

// livesBeside is Lives for one who wants the path. A volume that is restored does not go on with the claim of the life
// before, which its deletion may just be giving up.
func (s *Store) livesBeside(other, wants volume.PathClaim) (bool, error) {
	if other.Stamp == wants.Stamp && other.Entry != wants.Entry && wants.Entry != "" {
		return false, nil
	}
	return s.Lives(other)
}

// Lives says whether a holder's volume is there, is being made, or is being restored. What begins is looked for
// before what it becomes, so that nothing escapes that moves on meanwhile.
func (s *Store) Lives(h volume.PathClaim) (bool, error) {
	id := volume.IDOfStamp(h.Stamp)
	if lives, err := s.HasAny(CreatingDir, id, h.Stamp+RecordSuffix, h.Stamp+UndoSuffix, h.Stamp+RevokedSuffix); lives || err != nil {
		return lives, err
	}
	if h.Entry != "" {
		if lives, err := s.HasAny(TrashDir, id, h.Entry+BackSuffix); lives || err != nil {
			return lives, err
		}
	}
	f, err := s.Find(id)
	isUnwritten := f.State == Begun && f.Record.Schema == 0
	return f.State != Absent && (isUnwritten || f.Record.Stamp() == h.Stamp), err
}

// HasAny says whether there is one of the names in the directories of an ID.
func (s *Store) HasAny(kind, id string, names ...string) (bool, error) {
	shards, err := s.ExistingShards(kind, id)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		for _, dir := range shards {
			if isMissing, err := IsMissing(dir, name); err != nil || !isMissing {
				return !isMissing, err
			}
		}
	}
	return false, nil
}

// ReleasePath gives up a path, if its holder is the one that is meant. Another may be faster, and a third have claimed
// the path again, between the look and the act: so the claim is moved aside first and looked at then, and put back if
// it is another's.
func (s *Store) ReleasePath(path string, isMeant func(volume.PathClaim) bool) error {
	held, err := s.HolderOf(path)
	if err != nil || !isMeant(held) {
		return volume.IgnoreNotExist(err)
	}
	return s.GivePathUp(path, func(moved volume.PathClaim) (bool, error) { return isMeant(moved), nil })
}

// GivePathUp moves the claim of a path aside, and removes it if mayGo says so then.
func (s *Store) GivePathUp(path string, mayGo func(volume.PathClaim) (bool, error)) error {
	name := volume.PathClaimName(path)
	paths, err := s.pathShard(name)
	if err != nil {
		return err
	}
	aside := name + AsideSuffix + strconv.FormatUint(rand.Uint64(), 36)
	if err := s.FreeLink(paths, name, func() error { return paths.Rename(name, paths, aside) }); err != nil {
		return volume.IgnoreNotExist(err)
	}
	s.Step(stepPathAside)
	return s.SettlePath(paths, aside, mayGo)
}

// SettlePath removes a claim that was moved aside if it may go, and puts it back if not.
func (s *Store) SettlePath(paths *safepath.Dir, aside string, mayGo func(volume.PathClaim) (bool, error)) error {
	content, err := Readlink(paths, aside)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	moved, err := volume.ParsePathClaim(content)
	if err != nil {
		return err
	}
	goes, err := mayGo(moved)
	if err == nil && !goes {
		err = s.putBack(paths, moved)
	}
	if err != nil {
		return err
	}
	return volume.IgnoreNotExist(paths.Unlink(aside))
}

// putBack makes a claim again that was moved aside. Its holder may have given the path up meanwhile, and found no claim
// (TestAClaimThatIsPutBackWhenItsHolderIsGoneGoes): one that is still on its way out looks once more when it is gone.
func (s *Store) putBack(paths *safepath.Dir, h volume.PathClaim) error {
	if err := volume.IgnoreExist(s.makeClaim(paths, h)); err != nil {
		return err
	}
	if lives, err := s.Lives(h); lives || err != nil {
		return err
	}
	if free, err := s.IsFree(h.Path); !free || err != nil {
		return err
	}
	return s.ReleasePath(h.Path, func(held volume.PathClaim) bool { return held == h })
}
