// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Create: a kill at any of them is finished by the next Create
// or Delete of the same volume.
const (
	stepOpened  = "create: claim opened"
	stepClaimed = "create: claimed"
	stepParent  = "create: parent made"
	stepMade    = "create: directory made"
	stepMarked  = "create: directory marked"
	stepOwned   = "create: owner set"
	stepMode    = "create: mode set"
	stepReady   = "create: ready"
	stepDone    = "create: claim given up"
)

// freshMode is the mode of a volume's directory from its mkdir until it has its mark: nobody
// may enter it, and nobody else would make one like it. So a directory is seen to be a volume
// from the moment that it exists, and never becomes one later: looking at the ancestors before
// mkdir is enough for volumes never to nest.
const freshMode = 0o1000

// Create makes a volume, or finishes making it, or returns the one that is there.
// Errors: ErrIncompatible, ErrForeign (the path is taken), ErrNested, ErrBusy (another
// process is making, deleting or restoring it), and what the Gluster volume says. After an error
// nothing of a new volume is left, as far as the Gluster volume lets it be removed; the next
// Create goes on with what is.
func (s *Store) Create(spec Spec) (Record, error) {
	have, err := s.Get(IDFor(spec.Name))
	if err == nil {
		return have, have.satisfies(spec)
	}
	if !errors.Is(err, ErrNotFound) {
		return Record{}, err
	}
	r := newRecord(spec)
	if err := s.claim(r); err != nil {
		return Record{}, explain(fmt.Errorf("claim volume %s on %s: %w", r.ID, s.volume, err))
	}
	s.step(stepClaimed)
	made, err := s.finish(r, spec)
	if err != nil {
		return Record{}, errors.Join(err, s.undo(r))
	}
	return made, nil
}

// finish makes the volume of a claim, or goes on with the earlier claim whose directory it
// finds.
func (s *Store) finish(r Record, spec Spec) (Record, error) {
	dir, mark, err := s.makeMarked(r)
	if err != nil {
		return Record{}, explain(fmt.Errorf("make directory %s on %s: %w", r.Path, s.volume, err))
	}
	defer dir.Close()
	if mark == r.mark() {
		return r, explain(s.complete(r, dir))
	}
	if id, _, ok := parseStamp(mark); !ok || id != r.ID {
		return Record{}, explain(s.foreign(dir, r.ID, mark))
	}
	earlier, ready, err := s.earlier(r.ID, mark)
	if err == nil {
		err = earlier.satisfies(spec)
	}
	if err != nil {
		return Record{}, explain(err)
	}
	if err := s.undo(r); err != nil { // it is not needed
		return Record{}, err
	}
	if ready {
		return earlier, nil
	}
	return earlier, explain(s.complete(earlier, dir))
}

// earlier returns the volume whose directory was found where it is to be made again: one that has
// become ready meanwhile, or whose making was interrupted. ErrBusy if it is just being made, or on
// its way out.
func (s *Store) earlier(id, mark string) (r Record, ready bool, err error) {
	r, err = s.Get(id)
	if err == nil && r.mark() == mark {
		return r, true, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Record{}, false, err
	}
	if _, begun, _ := parseStamp(mark); time.Since(begun) <= s.recent {
		return Record{}, false, fmt.Errorf("another controller is making volume %s on %s: %w", id, s.volume, ErrBusy)
	}
	creating, err := s.dir(creatingDir)
	if err != nil {
		return Record{}, false, err
	}
	r, err = readRecord(creating, mark+recordSuffix)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, false, err
	}
	err = fmt.Errorf("an earlier volume %s on %s is on its way out: %w", id, s.volume, ErrBusy)
	return Record{}, false, errors.Join(err, s.undoBegun(id), s.finishDeletion(id))
}

// complete takes a marked directory to its end.
func (s *Store) complete(r Record, dir *safepath.Dir) error {
	if err := s.setOwner(dir, r.Owner); err != nil {
		return err
	}
	creating, err := s.dir(creatingDir)
	if err != nil {
		return err
	}
	claim := r.mark() + recordSuffix
	err = s.becomeReady(r, creating, claim)
	if err == nil {
		s.step(stepReady)
		err = creating.Unlink(claim)
	}
	if errors.Is(err, fs.ErrExist) || err != nil && gone(err) == nil {
		err = fmt.Errorf("another controller made or took back volume %s on %s meanwhile: %w: %w", r.ID, s.volume, err, ErrBusy)
	}
	if err != nil {
		return err
	}
	s.step(stepDone)
	return nil
}

// setOwner sets what mkdir could not. The mode comes last: a change of owner clears setgid, and
// until the mode is set nobody but root can enter.
func (s *Store) setOwner(dir *safepath.Dir, owner Owner) error {
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	uid, gid := or(owner.UID, 0), or(owner.GID, 0)
	if uid != st.Uid || gid != st.Gid {
		if err := dir.Chown(int(uid), int(gid)); err != nil {
			return err
		}
	}
	s.step(stepOwned)
	if err := dir.Chmod(uint32(or(owner.Mode, DefaultMode))); err != nil {
		return err
	}
	s.step(stepMode)
	return nil
}

// makeMarked returns the volume's directory with the mark that it carries: r's own, unless
// it was there with another.
func (s *Store) makeMarked(r Record) (*safepath.Dir, string, error) {
	dir, mark, err := s.makeLast(r)
	if err != nil || mark != "" {
		return dir, mark, err
	}
	s.step(stepMade)
	if mark, err = s.take(dir, r); err != nil {
		dir.Close()
		return nil, "", err
	}
	s.step(stepMarked)
	return dir, mark, nil
}

// makeLast makes the volume's directory, or opens the one that is there if it is a volume or
// the beginning of one. It returns the mark that it carries, "" if it has none yet.
func (s *Store) makeLast(r Record) (dir *safepath.Dir, mark string, err error) {
	// Deleting the last other volume below a parent removes the parent, perhaps
	// just as this volume was about to use it.
	err = s.anew(r.Path, func() error {
		dir, mark, err = s.tryLast(r)
		return err
	})
	return dir, mark, err
}

func (s *Store) tryLast(r Record) (*safepath.Dir, string, error) {
	parent, err := s.makeParents(r.Path)
	if err != nil {
		return nil, "", err
	}
	defer parent.Close()
	name := path.Base(r.Path)
	made := parent.Mkdir(name, freshMode)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return nil, "", made
	}
	dir, err := parent.Open(name)
	if err != nil {
		return nil, "", notADirectory(err)
	}
	if made == nil {
		return dir, "", nil
	}
	mark, err := s.markOf(dir, r.ID)
	if err != nil {
		dir.Close()
		return nil, "", err
	}
	return dir, mark, nil
}

// markOf returns the mark of a directory that was there, "" if its maker was killed before it was
// marked, or is about to mark it: then the first of the two has it. A maker marks a directory before
// it changes what else is looked at here: looking in this order sees at least one of the two.
func (s *Store) markOf(dir *safepath.Dir, id string) (string, error) {
	st, err := dir.Stat()
	if err != nil {
		return "", err
	}
	names, err := dir.Names(1)
	if err != nil {
		return "", err
	}
	mark, err := dir.Xattr(markXattr)
	if err == nil && mark == "" && (!hasFreshMode(st) || st.Uid != 0 || len(names) > 0) {
		err = s.foreign(dir, id, "")
	}
	return mark, err
}

// hasFreshMode leaves setgid out: below a directory that has it, mkdir sets it.
func hasFreshMode(st unix.Stat_t) bool { return st.Mode&0o7777&^unix.S_ISGID == freshMode }

// isMarked returns nil if the directory carries the volume's mark, and ErrForeign if not.
func (s *Store) isMarked(dir *safepath.Dir, r Record) error {
	mark, err := dir.Xattr(markXattr)
	if err == nil && mark != r.mark() {
		err = s.foreign(dir, r.ID, mark)
	}
	return err
}

func (s *Store) foreign(dir *safepath.Dir, id, mark string) error {
	if mark == "" {
		return fmt.Errorf("directory %s was there before volume %s and is not the driver's: %w: choose another `path` in the StorageClass, or use the directory as it is by a static PersistentVolume", dir.Name(), id, ErrForeign)
	}
	return fmt.Errorf("directory %s belongs to volume %s, not to %s: %w: a `path` that ends in ${pv.name} is never taken twice", dir.Name(), stampedID(mark), id, ErrForeign)
}
