// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of a claim's end.
const (
	stepUndoing  = "undo: claim renamed"
	stepDirFound = "undo: directory found"
	stepDirAside = "undo: directory moved aside"
	stepEmptied  = "undo: directory removed"
	stepPruned   = "undo: parents removed"
	stepReleased = "undo: path given up"
)

// undo takes back a creation of this process that has failed, unless it has come to its end. claimed says whether its
// record was made. Nothing that holds data can go: only an empty directory is removed.
func (s *Store) undo(r Record, claimed bool) error {
	err := s.tryUndo(r, claimed)
	if err != nil {
		return fmt.Errorf("and it could not be undone yet: %w", err)
	}
	return nil
}

func (s *Store) tryUndo(r Record, claimed bool) error {
	if !claimed {
		return s.giveUpPlace(r)
	}
	f, err := s.look(r.ID)
	if err != nil {
		return err
	}
	if f.state == begun && (f.record.Schema == 0 || f.record.stamp() == r.stamp()) {
		return s.undoFile(begunVolume(f))
	}
	// It is complete, or another has taken it, to take it back or to find that it is complete.
	taken, err := s.begunBefore(r.ID)
	if err != nil || len(taken) > 0 {
		return err
	}
	if isVolume, err := s.isReady(r); err != nil || isVolume {
		return err
	}
	return s.takeBack(r) // what was made after the other had looked
}

// takeBack removes what a creation has made.
func (s *Store) takeBack(r Record) error {
	if err := s.afresh(r.Path, func() error { return s.removeEmpty(r, "") }); err != nil {
		return err
	}
	s.step(stepEmptied)
	return s.giveUpPlace(r)
}

// giveUpPlace gives up the path of a creation, and the directories that were made on the way to it.
func (s *Store) giveUpPlace(r Record) error {
	if err := s.afresh(r.Path, func() error { return s.removeParents(r) }); err != nil {
		return err
	}
	s.step(stepPruned)
	if err := s.releasePath(r.Path, heldBy(r.stamp())); err != nil {
		return err
	}
	s.step(stepReleased)
	if err := s.forgetGFID(r); err != nil {
		return err
	}
	return s.commit() // before the same names are made again
}

// removeEmpty removes the directory that a creation has made, or the place that the restoration of a trash entry has, if
// nothing is in it. As between a look and an act the path may have become another volume's, it is moved aside first,
// looked at then, and put back if it is not the one.
func (s *Store) removeEmpty(r Record, entry string) error {
	creating, err := s.home(creatingDir, r.ID)
	if err != nil {
		return err
	}
	aside := r.stamp() + dirSuffix
	if err := s.removeAside(creating, aside, r, entry); err != nil { // what a kill has left
		return err
	}
	parent, name, err := s.split(r.Path)
	if notThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	dir, err := parent.Open(name)
	if notThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := dir.Stat()
	goes := false
	if err == nil {
		goes, err = s.isMadeFor(dir, r, entry, st.Ino)
	}
	if err == nil && goes {
		err = s.isEmpty(dir)
	}
	dir.Close()
	if err != nil || !goes {
		return err
	}
	s.step(stepDirFound)
	if err := parent.Rename(name, creating, aside); err != nil {
		return ignoreNotExist(err)
	}
	s.step(stepDirAside)
	return s.removeAside(creating, aside, r, entry)
}

// removeAside removes an empty directory that was moved aside from r's path, or puts it back. What the kernel knows of
// the directory may be a second old, so it is looked for in the listing.
func (s *Store) removeAside(creating *safepath.Dir, aside string, r Record, entry string) error {
	dir, err := creating.Open(aside)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer dir.Close()
	inode, err := creating.ListedInode(aside)
	if err != nil {
		return ignoreNotExist(err)
	}
	goes, err := s.isMadeFor(dir, r, entry, inode)
	if err != nil {
		return err
	}
	if !goes {
		// A rename replaces an empty directory: that of the next volume, where a server has brought this one back.
		if free, err := s.isFree(r.Path); err != nil || !free {
			return errors.Join(err, fmt.Errorf("%s/%s is not what was to go, and something is at %s: %w: see `glusterfs-csi volume check`",
				creating.Name(), aside, r.Path, ErrForeign))
		}
		return s.putBack(creating, aside, r.Path)
	}
	err = ignoreNotExist(creating.Rmdir(aside))
	if errors.Is(err, unix.ENOTEMPTY) {
		err = errors.Join(fmt.Errorf("%w: %w: look who put something there", err, ErrForeign), s.putBack(creating, aside, r.Path))
	}
	return err
}

func (s *Store) isEmpty(dir *safepath.Dir) error {
	names, err := dir.Names(1)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("directory %s is not empty: %w: look who put something there", dir.Name(), ErrForeign)
	}
	return err
}

// isMadeFor says whether a directory with this inode number that is, or was a moment ago, at r's path was made there
// by r's creation, or as the place for the restoration of an entry. As long as r holds the path nobody else makes one
// there, and what was moved onto the place is the volume itself.
func (s *Store) isMadeFor(dir *safepath.Dir, r Record, entry string, inode uint64) (bool, error) {
	gfid, err := s.recordedGFID(r)
	if err != nil {
		return false, err
	}
	if entry == "" && r.Schema == 1 {
		return s.isMarkedFor(dir, r)
	}
	held, err := s.holderOf(r.Path)
	if ignoreNotExist(err) != nil {
		return false, err
	}
	if held.stamp != "" && held.stamp != r.stamp() {
		return false, nil
	}
	if entry == "" && gfid != noGFID {
		return inode == inodeOf(gfid), nil
	}
	return held.stamp == r.stamp() && held.entry == entry && (gfid == "" || inode != inodeOf(gfid)), nil
}

// putBack returns what was moved aside from a path and is not what was looked for. What is there by now is not replaced,
// unless it is an empty directory.
func (s *Store) putBack(from *safepath.Dir, aside, p string) error {
	parent, name, err := s.split(p)
	if err == nil {
		err = from.Rename(aside, parent, name)
		parent.Close()
	}
	if err != nil {
		return fmt.Errorf("directory %s of another volume was moved to %s/%s and could not be moved back: %w: move it back by hand",
			p, from.Name(), aside, errors.Join(err, ErrForeign))
	}
	return nil
}

// takeBackUnrecorded takes back what a creation has made that was killed before its record was there. The path may also
// be held for a volume that is deleted, and whose data is in its place.
func (s *Store) takeBackUnrecorded(h holder) error {
	lives, err := s.lives(h)
	if err != nil || lives || h.parent || h.entry != "" {
		return err
	}
	entries, err := s.entries(stampedID(h.stamp))
	for _, e := range entries {
		if e.Record.stamp() == h.stamp {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return s.takeBack(h.creation())
}
