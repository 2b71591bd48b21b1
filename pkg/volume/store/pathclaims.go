// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// A path is claimed before anything is made there, by a symbolic link in paths/ that is named after the path and says
// who holds it. It is made whole, and exclusive on every kind of Gluster volume (pkg owndir, claims.go; a link lies on one replica set
// of a distributed one, a directory, and its xattrs, on all), so of two that want one path one gets it:
// TestOfTwoThatWantOnePathOneGetsIt, on a distributed volume too.
//
// A holder that is dead (killed between two steps, and undone by name) is found out by looking whether what it names
// is there: a creation, a volume, a restoration.

// The claim of a parent is nobody's alone: whoever makes a volume below it relies on the one that is there. So whoever
// makes the directory looks for the claim afterwards (creation.makeParent), and whoever removes the claim has moved it
// aside when it looks for the directory: one of the two sees the other
// (TestTheClaimOfAParentThatIsMadeMeanwhileStays).

// The named points of a claim's end.
const (
	stepPathGoes   = "path: claim goes"
	stepPathAside  = "path: claim moved aside"
	stepPathIsBack = "path: claim put back"
)

// pathShard is the directory in which a path is claimed. A claim that was made when all were in one is moved on.
func (s *Store) pathShard(name string) (*safepath.Dir, error) {
	paths, err := s.EnsureShard(owndir.PathsDir, name)
	if err != nil || s.IsSpread(owndir.PathsDir) {
		return paths, err
	}
	flat, err := s.OwnDirectory(owndir.PathsDir)
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
	shards, err := s.ExistingShards(owndir.PathsDir, name)
	if err != nil {
		return volume.PathClaim{}, err
	}
	for _, dir := range shards {
		content, err := owndir.Readlink(dir, name)
		if err == nil {
			return volume.ParsePathClaim(content)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return volume.PathClaim{}, err
		}
	}
	return volume.PathClaim{}, fmt.Errorf("the claim of path %s on %s: %w", path, s.Volume, fs.ErrNotExist)
}

// PreparePath makes the link by which h may become the holder of its path, and claims nothing.
func (s *Store) PreparePath(h volume.PathClaim) (*owndir.Link, error) {
	name := volume.PathClaimName(h.Path)
	paths, err := s.pathShard(name)
	if err != nil {
		return nil, err
	}
	return s.PrepareLink(paths, h.String(), name)
}

// ClaimPath makes h the holder of its path, unless another that lives is: then it returns that one and fs.ErrExist.
func (s *Store) ClaimPath(h volume.PathClaim) (volume.PathClaim, error) { return s.ClaimPathBy(nil, h) }

// ClaimPathBy is ClaimPath by a link of PreparePath for h, if there is one, which claims or is dropped.
func (s *Store) ClaimPathBy(prepared *owndir.Link, h volume.PathClaim) (volume.PathClaim, error) {
	paths, err := s.pathShard(volume.PathClaimName(h.Path))
	if err != nil {
		prepared.Drop()
		return volume.PathClaim{}, err
	}
	const attempts = 3
	for range attempts {
		claimed := s.makeClaim(paths, prepared, h)
		prepared = nil
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
func (s *Store) makeClaim(paths *safepath.Dir, prepared *owndir.Link, h volume.PathClaim) error {
	if prepared != nil {
		return s.Claim(prepared)
	}
	return s.ClaimLink(paths, h.String(), volume.PathClaimName(h.Path))
}

// livesBeside is IsNeeded for one who wants the path. A volume that is restored does not go on with the claim of the life
// before, which its deletion may just be giving up.
func (s *Store) livesBeside(other, wants volume.PathClaim) (bool, error) {
	if other.Stamp == wants.Stamp && other.Entry != wants.Entry && wants.Entry != "" {
		return false, nil
	}
	return s.IsNeeded(other)
}

// IsNeeded says whether a claim still means something. That of a parent is of all volumes below it.
func (s *Store) IsNeeded(h volume.PathClaim) (bool, error) {
	needed, err := s.Lives(h)
	if err == nil && !needed && h.Parent {
		var free bool
		free, err = s.IsFree(h.Path)
		needed = !free
	}
	return needed, err
}

// Lives says whether a holder's volume is there, is being made, or is being restored. What begins is looked for
// before what it becomes, so that nothing escapes that moves on meanwhile.
func (s *Store) Lives(h volume.PathClaim) (bool, error) {
	id := volume.IDOfStamp(h.Stamp)
	if lives, err := s.HasAny(owndir.CreatingDir, id, h.Stamp+RecordSuffix, h.Stamp+UndoSuffix, h.Stamp+RevokedSuffix); lives || err != nil {
		return lives, err
	}
	if h.Entry != "" {
		if lives, err := s.HasAny(owndir.TrashDir, id, h.Entry+BackSuffix); lives || err != nil {
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
			if isMissing, err := owndir.IsMissing(dir, name); err != nil || !isMissing {
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

// ReleaseWithCommit is ReleasePath for who has seen that the holder is the one that is meant: the claim is looked at
// beside the next Commit.
func (s *Store) ReleaseWithCommit(path string, isMeant func(volume.PathClaim) bool) error {
	aside, err := s.movePathAside(path)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	s.LookWithCommit(func(permit *permits.Permit) (bool, error) {
		theirs := *s
		theirs.Permit = permit
		return theirs.settlePath(aside, func(moved volume.PathClaim) (bool, error) { return isMeant(moved), nil })
	})
	return nil
}

// GivePathUp moves the claim of a path aside, and removes it if mayGo says so then.
func (s *Store) GivePathUp(path string, mayGo func(volume.PathClaim) (bool, error)) error {
	defer s.DropFirstNames() // of who does not come to Commit
	aside, err := s.movePathAside(path)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	return s.SettlePath(aside.Dir, aside.Name, mayGo)
}

func (s *Store) movePathAside(path string) (owndir.File, error) {
	name := volume.PathClaimName(path)
	paths, err := s.pathShard(name)
	if err != nil {
		return owndir.File{}, err
	}
	s.Step(stepPathGoes)
	aside := name + AsideSuffix + strconv.FormatUint(rand.Uint64(), 36)
	if err := s.FreeLink(paths, name, func() error { return paths.Rename(name, paths, aside) }); err != nil {
		return owndir.File{}, err
	}
	s.Step(stepPathAside)
	return owndir.File{Dir: paths, Name: aside}, nil
}

// SettlePath removes a claim that was moved aside if it may go, and puts it back if not.
func (s *Store) SettlePath(paths *safepath.Dir, aside string, mayGo func(volume.PathClaim) (bool, error)) error {
	_, err := s.settlePath(owndir.File{Dir: paths, Name: aside}, mayGo)
	return err
}

func (s *Store) settlePath(aside owndir.File, mayGo func(volume.PathClaim) (bool, error)) (wentBack bool, err error) {
	content, err := owndir.Readlink(aside.Dir, aside.Name)
	if err != nil {
		return false, volume.IgnoreNotExist(err)
	}
	moved, err := volume.ParsePathClaim(content)
	if err != nil {
		return false, err
	}
	goes, err := mayGo(moved)
	if err == nil && !goes {
		err = s.putBack(aside, moved)
	}
	if err != nil {
		return false, err
	}
	return !goes, volume.IgnoreNotExist(aside.Dir.Unlink(aside.Name))
}

// putBack gives a claim that was moved aside its name again, before anything is forced to disk
// (TestAClaimThatGoesBackWaitsForNoDisk): as long as it has not, a third may claim the path, which a maker finds out
// (TestACreationThatHasLostItsClaimIsNoVolume). Its holder may have given the path up meanwhile, and found no claim
// (TestAClaimThatIsPutBackWhenItsHolderIsGoneGoes): one that is still on its way out looks once more when it is gone.
func (s *Store) putBack(aside owndir.File, h volume.PathClaim) error {
	if err := volume.IgnoreExist(s.ReturnLink(aside, h.String(), volume.PathClaimName(h.Path))); err != nil {
		return err
	}
	s.Step(stepPathIsBack)
	unused := func() (bool, error) {
		lives, err := s.Lives(h)
		if err != nil || lives {
			return false, err
		}
		return s.IsFree(h.Path)
	}
	if goes, err := unused(); !goes || err != nil {
		return err
	}
	return s.GivePathUp(h.Path, func(moved volume.PathClaim) (bool, error) {
		if moved != h {
			return false, nil
		}
		return unused()
	})
}
