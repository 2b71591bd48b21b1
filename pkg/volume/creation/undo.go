// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// The named points of a claim's end.
const (
	stepUndoing    = "undo: claim renamed"
	stepClaimsRead = "undo: claims of paths read"
	stepDirFound   = "undo: directory found"
	stepDirAside   = "undo: directory moved aside"
	stepEmptied    = "undo: directory removed"
	stepPruned     = "undo: parents removed"
	stepReleased   = "undo: path given up"
)

// UndoFailed takes back a creation of this process that has failed, unless it has come to its end. claimed says whether
// its record was made. Nothing that holds data can go: only an empty directory is removed.
func (s *Creations) UndoFailed(r volume.Record, claimed bool) error {
	err := s.tryUndo(r, claimed)
	if err != nil {
		return fmt.Errorf("and it could not be undone yet: %w", err)
	}
	return nil
}

func (s *Creations) tryUndo(r volume.Record, claimed bool) error {
	if !claimed {
		return s.giveUpPlace(r)
	}
	f, err := s.Find(r.ID)
	if err != nil {
		return err
	}
	if f.State == store.Begun && (f.Record.Schema == 0 || f.Record.Stamp() == r.Stamp()) {
		return s.Undo(HalfMadeVolume(f))
	}
	// It is complete, or another has taken it, to take it back or to find that it is complete.
	taken, err := s.HalfMadeOf(r.ID)
	if err != nil || len(taken) > 0 {
		return err
	}
	if isVolume, err := s.IsReady(r); err != nil || isVolume {
		return err
	}
	return s.takeBack(r) // what was made after the other had looked
}

// takeBack removes what a creation has made.
func (s *Creations) takeBack(r volume.Record) error {
	if err := s.RetryRefreshed(r.Path, func() error { return s.RemoveEmpty(r, "") }); err != nil {
		return err
	}
	s.Step(stepEmptied)
	return s.giveUpPlace(r)
}

// giveUpPlace gives up the path of a creation, and the directories that were made on the way to it.
func (s *Creations) giveUpPlace(r volume.Record) error {
	if err := s.releasePlace(r); err != nil {
		return err
	}
	s.Step(stepReleased)
	if err := s.ForgetGFID(r); err != nil {
		return err
	}
	return s.Commit() // before the same names are made again
}

func (s *Creations) releasePlace(r volume.Record) error {
	if err := s.RetryRefreshed(r.Path, func() error { return s.RemoveParents(r) }); err != nil {
		return err
	}
	s.Step(stepPruned)
	return s.ReleasePath(r.Path, volume.IsOfVolume(r.Stamp()))
}

// isIt says whether a directory with this inode number is the one that is to go.
type isIt func(dir *safepath.Dir, inode uint64) (bool, error)

// RemoveEmpty removes the directory that a creation has made, or the place that the restoration of a trash entry has,
// if nothing is in it, and nobody else holds the path.
func (s *Creations) RemoveEmpty(r volume.Record, entry string) error {
	return s.removeEmpty(r, func(dir *safepath.Dir, inode uint64) (bool, error) { return s.isMadeFor(dir, r, entry, inode) })
}

// RemoveMade removes the directory of a creation whose gfid is known, if nothing is in it, whoever holds the path.
func (s *Creations) RemoveMade(r volume.Record) error {
	return s.removeEmpty(r, func(_ *safepath.Dir, inode uint64) (bool, error) { return inode == store.InodeOf(r.GFID), nil })
}

// removeEmpty removes the directory at a volume's path that is the one. As between a look and an act the path may have
// become another volume's, it is moved aside first, looked at then, and put back if it is not.
func (s *Creations) removeEmpty(r volume.Record, is isIt) error {
	creating, err := s.EnsureShard(owndir.CreatingDir, r.ID)
	if err != nil {
		return err
	}
	aside := r.Stamp() + store.DirSuffix
	parent, name, err := s.OpenParent(r.Path)
	if err == nil {
		defer parent.Close()
		done, err := s.removeTwice(owndir.File{Dir: creating, Name: aside}, owndir.File{Dir: parent, Name: name}, is)
		if done || err != nil {
			return err
		}
	}
	if asideErr := s.removeAside(creating, aside, r.Path, is); asideErr != nil { // what a kill has left
		return asideErr
	}
	if err != nil {
		if volume.IsNotThere(err) {
			err = nil
		}
		return err
	}
	if goes, err := s.mayRemoveEmpty(owndir.File{Dir: parent, Name: name}, is); err != nil || !goes {
		return err
	}
	s.Step(stepDirFound)
	if err := parent.Rename(name, creating, aside); err != nil {
		return volume.IgnoreNotExist(err)
	}
	s.Step(stepDirAside)
	return s.removeAside(creating, aside, r.Path, is)
}

// mayRemoveEmpty says whether a directory is there and is the one that is to go. ErrForeign if something is in it.
func (s *Creations) mayRemoveEmpty(at owndir.File, is isIt) (bool, error) {
	dir, err := at.Dir.Open(at.Name)
	if err != nil {
		if volume.IsNotThere(err) {
			err = nil
		}
		return false, err
	}
	defer dir.Close()
	st, err := dir.Stat()
	goes := false
	if err == nil {
		goes, err = is(dir, st.Ino)
	}
	if err == nil && goes {
		err = s.CheckEmpty(dir)
	}
	return goes, err
}

// removeTwice removes an empty directory that one brick has at its path and another moved aside, as one has forgotten
// the rename: nobody can move it then. It says whether there was one.
func (s *Creations) removeTwice(aside, at owndir.File, is isIt) (done bool, err error) {
	twice, err := owndir.IsOneFile(aside, at)
	if err != nil || !twice {
		return false, err
	}
	if goes, err := s.mayRemoveEmpty(at, is); err != nil || !goes {
		return false, err
	}
	for _, name := range []owndir.File{at, aside} {
		if err := volume.IgnoreNotExist(name.Dir.Rmdir(name.Name)); err != nil {
			return false, err
		}
	}
	return true, nil
}

// removeAside removes an empty directory that was moved aside from its path, or puts it back. What the kernel knows of
// the directory may be a second old, so it is looked for in the listing.
func (s *Creations) removeAside(creating *safepath.Dir, aside, path string, is isIt) error {
	dir, err := creating.Open(aside)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	defer dir.Close()
	inode, err := creating.ListedInode(aside)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	goes, err := is(dir, inode)
	if err != nil {
		return err
	}
	if !goes {
		// A rename replaces an empty directory: that of the next volume, where a server has brought this one back.
		if free, err := s.IsFree(path); err != nil || !free {
			return errors.Join(err, fmt.Errorf("%s/%s is not what was to go, and something is at %s: %w: see `glusterfs-csi volume check`",
				creating.Name(), aside, path, volume.ErrForeign))
		}
		return s.PutBack(creating, aside, path)
	}
	if err := s.checkAside(dir, owndir.File{Dir: creating, Name: aside}); err != nil {
		return err
	}
	err = volume.IgnoreNotExist(creating.Rmdir(aside))
	if errors.Is(err, unix.ENOTEMPTY) {
		err = errors.Join(fmt.Errorf("%w: %w: look who put something there", err, volume.ErrForeign), s.PutBack(creating, aside, path))
	}
	return err
}

// checkAside returns an ErrBusy if a brick has forgotten that a directory was moved aside. As long as GlusterFS heals the
// directory above it says at times that the other name is not there; what is removed by one name alone comes back by the
// other: TestLossOfPowerWithinEveryVerb/…/the_last_server.
func (s *Creations) checkAside(dir *safepath.Dir, aside owndir.File) error {
	at, err := s.PlaceOfFile(aside)
	if err == nil {
		err = s.CheckOneName(dir, at)
	}
	if errors.Is(err, volume.ErrTwoNames) {
		err = fmt.Errorf("a brick has forgotten that directory %s was moved there, and GlusterFS does not show it yet: %w", dir.Name(), volume.ErrBusy)
	}
	return err
}

// CheckEmpty returns an ErrForeign if something is in a directory.
func (s *Creations) CheckEmpty(dir *safepath.Dir) error {
	names, err := dir.Names(1)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("directory %s is not empty: %w: look who put something there", dir.Name(), volume.ErrForeign)
	}
	return err
}

// isMadeFor says whether a directory with this inode number that is, or was a moment ago, at r's path was made there
// by r's creation, or as the place for the restoration of an entry. As long as r holds the path nobody else makes one
// there, and what was moved onto the place is the volume itself.
func (s *Creations) isMadeFor(dir *safepath.Dir, r volume.Record, entry string, inode uint64) (bool, error) {
	gfid, err := s.RecordedGFID(r)
	if err != nil {
		return false, err
	}
	if entry == "" && r.Schema == 1 {
		return s.isMarkedFor(dir, r)
	}
	held, err := s.HolderOf(r.Path)
	if volume.IgnoreNotExist(err) != nil {
		return false, err
	}
	if held.Stamp != "" && held.Stamp != r.Stamp() {
		return false, nil
	}
	if entry == "" && gfid != volume.NoGFID {
		return inode == store.InodeOf(gfid), nil
	}
	return held.Stamp == r.Stamp() && held.Entry == entry && (gfid == "" || inode != store.InodeOf(gfid)), nil
}

// PutBack returns what was moved aside from a path and is not what was looked for. What is there by now is not
// replaced, unless it is an empty directory.
func (s *Creations) PutBack(from *safepath.Dir, aside, p string) error {
	parent, name, err := s.OpenParent(p)
	if err == nil {
		err = from.Rename(aside, parent, name)
		parent.Close()
	}
	if err != nil {
		return fmt.Errorf("directory %s of another volume was moved to %s/%s and could not be moved back: %w: move it back by hand",
			p, from.Name(), aside, errors.Join(err, volume.ErrForeign))
	}
	return nil
}

// TakeBackUnrecorded takes back what a creation has made that was killed before its record was there. The path may also
// be held for a volume that is deleted, and whose data is in its place.
func (s *Creations) TakeBackUnrecorded(h volume.PathClaim) error {
	lives, err := s.Lives(h)
	if err != nil || lives || h.Parent || h.Entry != "" {
		return err
	}
	entries, err := s.Entries(volume.IDOfStamp(h.Stamp))
	for _, e := range entries {
		if e.Record.Stamp() == h.Stamp {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return s.takeBack(h.Creation())
}
