// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// A path is claimed before anything is made there, by a symbolic link in paths/ that is named after the path and says
// who holds it. Making a symbolic link is one step and exclusive on every kind of Gluster volume (a link lies on one
// brick of a distributed one; a directory, and its xattrs, on all), so of two that want one path one gets it:
// TestOfTwoThatWantOnePathOneGetsIt, on a distributed volume too.
//
// A holder that is dead (killed between two steps, and undone by name) is found out by looking whether what it names
// is there: a creation, a volume, a restoration.

// holder is the content of a claim.
type holder struct {
	// stamp is of the volume that has the path, or for which a parent was made.
	stamp string
	// entry is the trash entry that is being, or was, restored there; "" for none.
	entry string
	// parent says that the path is that of a directory which the driver made to hold volumes.
	parent bool
	path   string
}

const (
	volumeWord  = "volume"
	parentWord  = "parent"
	restoreWord = "restore:"
)

// String is what a claim says: the stamp, what the path is to it, and the path, which may have spaces.
func (h holder) String() string {
	what := volumeWord
	switch {
	case h.parent:
		what = parentWord
	case h.entry != "":
		what = restoreWord + h.entry
	}
	return h.stamp + " " + what + " " + h.path
}

func parseHolder(content string) (holder, error) {
	words := strings.SplitN(content, " ", 3)
	if len(words) == 3 {
		h := holder{stamp: words[0], parent: words[1] == parentWord, path: words[2]}
		restored := false
		h.entry, restored = strings.CutPrefix(words[1], restoreWord)
		if !restored {
			h.entry = ""
		}
		_, _, ok := parseStamp(h.stamp)
		known := h.parent || words[1] == volumeWord || restored && validEntry(h.entry)
		if ok && known && CheckPath(h.path) == nil {
			return h, nil
		}
	}
	return holder{}, fmt.Errorf("the claim of a path says %.200q: %w", content, ErrCorrupt)
}

// pathName is the name of a path's claim: short, and of one component.
func pathName(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:16])
}

// creation is what a claim says of the volume that was to be made.
func (h holder) creation() Record {
	id, created, _ := parseStamp(h.stamp)
	return Record{Schema: schema, ID: id, Path: h.path, Created: created, GFID: noGFID}
}

// pathHome is the directory in which a path is claimed. A claim that was made when all were in one is moved on.
func (s *Store) pathHome(name string) (*safepath.Dir, error) {
	paths, err := s.home(pathsDir, name)
	if err != nil || s.sightings.flat.isEmpty(pathsDir) {
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
		claimed := s.makeClaim(paths, h)
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

// makeClaim is exclusive, and the name's only file on every disk.
func (s *Store) makeClaim(paths *safepath.Dir, h holder) error {
	name := pathName(h.path)
	if s.sightings.freed.has(name) {
		if err := s.commit(); err != nil {
			return err
		}
	}
	return paths.Symlink(h.String(), name)
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
	if err := s.sightings.freed.free(name, func() error { return paths.Rename(name, paths, aside) }); err != nil {
		return ignoreNotExist(err)
	}
	s.step(stepPathAside)
	return s.settlePath(paths, aside, mayGo)
}

// heldBy is a holder of any life of a volume: as it was made, or restored.
func heldBy(stamp string) func(holder) bool {
	return func(h holder) bool { return h.stamp == stamp && !h.parent }
}

// settlePath removes a claim that was moved aside if it may go, and puts it back if not.
func (s *Store) settlePath(paths *safepath.Dir, aside string, mayGo func(holder) (bool, error)) error {
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
		err = ignoreExist(s.makeClaim(paths, moved))
	}
	if err != nil {
		return err
	}
	return ignoreNotExist(paths.Unlink(aside))
}

// settlePaths gives up the paths whose holders are dead, and finishes what a kill has left of giving up one. deleted
// are the stamps of volumes that are in the trash: their data may still be in its place.
func (s *Store) settlePaths(deleted map[string]bool) error {
	claims, err := s.files(pathsDir)
	errs := []error{err}
	unneeded := map[string]bool{}
	for _, claim := range claims {
		needed, err := s.settleClaim(claim, deleted, s.isAbandoned(&s.sightings.paths, claim.name))
		errs = append(errs, ignoreNotExist(err))
		if err == nil && !needed {
			unneeded[claim.name] = true
		}
	}
	s.sightings.paths.keep(unneeded)
	return errors.Join(errs...)
}

// settleClaim gives up one path, or finishes giving it up, if nobody needs it, and that is sure: what the kernel of a
// client without fresh names knows of a volume that was just made again may be of the one before. With it goes what a
// creation has left that was killed before its record was written.
func (s *Store) settleClaim(claim file, deleted map[string]bool, sure bool) (needed bool, err error) {
	if strings.Contains(claim.name, asideSuffix) {
		if !sure {
			return false, nil
		}
		return false, s.settlePath(claim.dir, claim.name, func(h holder) (bool, error) {
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
