// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// A path is claimed before anything is made there, by a symbolic link in paths/ that is named after the path and says
// who holds it. Making a symbolic link is one step and exclusive on every kind of Gluster volume (a link lies on one
// brick of a distributed one; a directory, and its xattrs, on all), so of two that want one path one gets it:
// TestOfTwoThatWantOnePathOneGetsIt, on a distributed volume too.
//
// A holder that is dead (killed between two steps, and undone by name) is found out by looking whether what it names
// is there: a creation, a volume, a restoration.

const stepPathAside = "path: claim moved aside"

// pathHome is the directory in which a path is claimed. A claim that was made when all were in one is moved on.
func (s *Store) pathHome(name string) (*safepath.Dir, error) {
	paths, err := s.home(pathsDir, name)
	if err != nil || s.memory.flat.isEmpty(pathsDir) {
		return paths, err
	}
	flat, err := s.own(pathsDir)
	if err != nil {
		return nil, err
	}
	if flat != paths {
		if err := flat.Rename(name, paths, name); ignoreNotExist(err) != nil {
			return nil, err
		}
	}
	return paths, nil
}

// holderOf returns who holds a path; fs.ErrNotExist if nobody does.
func (s *Store) holderOf(path string) (holder, error) {
	name := pathName(path)
	homes, err := s.homes(pathsDir, name)
	if err != nil {
		return holder{}, err
	}
	for _, dir := range homes {
		content, err := readlink(dir, name)
		if err == nil {
			return parseHolder(content)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return holder{}, err
		}
	}
	return holder{}, fmt.Errorf("the claim of path %s on %s: %w", path, s.volume, fs.ErrNotExist)
}

// claimPath makes h the holder of its path, unless another that lives is: then it returns that one and fs.ErrExist.
func (s *Store) claimPath(h holder) (holder, error) {
	paths, err := s.pathHome(pathName(h.path))
	if err != nil {
		return holder{}, err
	}
	const attempts = 3
	for range attempts {
		claimed := paths.Symlink(h.String(), pathName(h.path))
		if !errors.Is(claimed, fs.ErrExist) {
			return h, claimed
		}
		other, err := s.holderOf(h.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // given up meanwhile
		}
		if err != nil {
			return holder{}, err
		}
		lives, err := s.livesBeside(other, h)
		if err != nil || lives || other == h {
			return other, errors.Join(err, claimed)
		}
		// Looked at once more when it is moved: its record may have been made meanwhile.
		if err := s.givePathUp(h.path, func(moved holder) (bool, error) {
			lives, err := s.livesBeside(moved, h)
			return moved == other && !lives, err
		}); err != nil {
			return holder{}, err
		}
	}
	return holder{}, fmt.Errorf("path %s on %s is claimed and given up again and again: %w", h.path, s.volume, ErrBusy)
}

// livesBeside is lives for one who wants the path. A volume that is restored does not go on with the claim of the life
// before, which its deletion may just be giving up.
func (s *Store) livesBeside(other, wants holder) (bool, error) {
	if other.stamp == wants.stamp && other.entry != wants.entry && wants.entry != "" {
		return false, nil
	}
	return s.lives(other)
}

// lives says whether a holder's volume is there, is being made, or is being restored. What begins is looked for
// before what it becomes, so that nothing escapes that moves on meanwhile.
func (s *Store) lives(h holder) (bool, error) {
	id := stampedID(h.stamp)
	if lives, err := s.hasAny(creatingDir, id, h.stamp+recordSuffix, h.stamp+undoSuffix, h.stamp+revokedSuffix); lives || err != nil {
		return lives, err
	}
	if h.entry != "" {
		if lives, err := s.hasAny(trashDir, id, h.entry+backSuffix); lives || err != nil {
			return lives, err
		}
	}
	f, err := s.look(id)
	isUnwritten := f.state == begun && f.record.Schema == 0
	return f.state != absent && (isUnwritten || f.record.stamp() == h.stamp), err
}

// hasAny says whether there is one of the names in the directories of an ID.
func (s *Store) hasAny(kind, id string, names ...string) (bool, error) {
	homes, err := s.homes(kind, id)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		for _, dir := range homes {
			if isMissing, err := missing(dir, name); err != nil || !isMissing {
				return !isMissing, err
			}
		}
	}
	return false, nil
}

// releasePath gives up a path, if its holder is the one that is meant. Another may be faster, and a third have claimed
// the path again, between the look and the act: so the claim is moved aside first and looked at then, and put back if it
// is another's.
func (s *Store) releasePath(path string, isMeant func(holder) bool) error {
	held, err := s.holderOf(path)
	if err != nil || !isMeant(held) {
		return ignoreNotExist(err)
	}
	return s.givePathUp(path, func(moved holder) (bool, error) { return isMeant(moved), nil })
}

// givePathUp moves the claim of a path aside, and removes it if mayGo says so then.
func (s *Store) givePathUp(path string, mayGo func(holder) (bool, error)) error {
	name := pathName(path)
	paths, err := s.pathHome(name)
	if err != nil {
		return err
	}
	aside := name + asideSuffix + strconv.FormatUint(rand.Uint64(), 36)
	if err := paths.Rename(name, paths, aside); err != nil {
		return ignoreNotExist(err)
	}
	s.step(stepPathAside)
	return s.settlePath(paths, name, aside, mayGo)
}

// settlePath removes a claim that was moved aside if it may go, and puts it back if not.
func (s *Store) settlePath(paths *safepath.Dir, name, aside string, mayGo func(holder) (bool, error)) error {
	content, err := readlink(paths, aside)
	if err != nil {
		return ignoreNotExist(err)
	}
	moved, err := parseHolder(content)
	if err != nil {
		return err
	}
	goes, err := mayGo(moved)
	if err == nil && !goes {
		err = ignoreExist(paths.Symlink(content, name))
	}
	if err != nil {
		return err
	}
	return ignoreNotExist(paths.Unlink(aside))
}
