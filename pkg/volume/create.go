// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Create: a kill at any of them is finished by the next Create
// or Delete of the same volume.
const (
	stepClaimed = "create: record claimed"
	stepParents = "create: parents made"
	stepMade    = "create: directory made"
	stepMarked  = "create: directory marked"
	stepOwned   = "create: owner set"
	stepMode    = "create: mode set"
	stepReady   = "create: record ready"
)

// freshMode is the mode of a directory between mkdir and chmod: nobody may enter
// it, and nobody else would make one like it. With a record in state creating it
// tells an interrupted creation from a directory that was there before.
const freshMode = 0o1000

// Create makes a volume, or finishes making it, or returns the one that is there.
// Errors: ErrIncompatible, ErrForeign (the path is taken), ErrNested, ErrBusy (the
// volume is being deleted or restored), and what the Gluster volume says. After an
// final error nothing of a new volume is left; after ErrBusy and ErrDisconnected what is
// there has a record in state creating, which the next Create or Delete goes on with.
func (s *Store) Create(spec Spec) (Record, error) {
	r := newRecord(spec)
	missing, err := s.missingParents(spec.Path)
	if err != nil {
		return Record{}, explain(fmt.Errorf("make directory %s on %s: %w", spec.Path, s.volume, err))
	}
	r.NewParents = missing
	err = s.claim(r)
	if errors.Is(err, fs.ErrExist) {
		return s.resume(spec)
	}
	if err != nil {
		return Record{}, explain(fmt.Errorf("claim volume %s on %s: %w", r.ID, s.volume, err))
	}
	s.step(stepClaimed)
	done, err := s.finish(r)
	if err != nil && isFinal(err) {
		err = errors.Join(err, s.undo(r))
	}
	return done, err
}

// isFinal says whether trying again would fail in the same way, so that nobody will. After
// other errors the caller does try again, and finds what was begun.
func isFinal(err error) bool {
	return errors.Is(err, ErrNested) || !errors.Is(err, ErrBusy) && !errors.Is(err, ErrDisconnected)
}

// resume goes on with a volume that has a record already.
func (s *Store) resume(spec Spec) (Record, error) {
	r, err := s.Get(IDFor(spec.Name))
	if errors.Is(err, ErrNotFound) {
		return Record{}, fmt.Errorf("volume %s on %s was deleted meanwhile: %w", IDFor(spec.Name), s.volume, ErrBusy)
	}
	if err != nil {
		return Record{}, err
	}
	if err := r.satisfies(spec); err != nil {
		return Record{}, err
	}
	switch r.State {
	case Ready:
		return r, nil
	case Creating:
		// So that nobody takes it for abandoned now.
		r = r.become(Creating)
		if err := s.change(r); err != nil {
			return Record{}, explain(err)
		}
		return s.finish(r)
	case Deleting, Restoring:
	}
	return Record{}, fmt.Errorf("volume %s on %s is in state %s: %w", r.ID, s.volume, r.State, ErrBusy)
}

// finish makes true what the record says. Each step may have been done before.
func (s *Store) finish(r Record) (Record, error) {
	dir, err := s.makeOwn(r)
	if err != nil {
		return Record{}, explain(fmt.Errorf("make directory %s on %s: %w", r.Path, s.volume, err))
	}
	defer dir.Close()
	if err := s.notNested(r.Path, dir); err != nil {
		return Record{}, explain(err)
	}
	// The mode comes last: a change of owner clears setgid, and until the mode is
	// set nobody but root can enter.
	if err := dir.Chown(int(or(r.Owner.UID, 0)), int(or(r.Owner.GID, 0))); err != nil {
		return Record{}, explain(err)
	}
	s.step(stepOwned)
	if err := dir.Chmod(uint32(or(r.Owner.Mode, DefaultMode))); err != nil {
		return Record{}, explain(err)
	}
	s.step(stepMode)
	if err := s.stillCreating(r); err != nil {
		return Record{}, err
	}
	r = r.become(Ready)
	r.NewParents = nil
	if err := s.change(r); err != nil {
		return Record{}, explain(err)
	}
	s.step(stepReady)
	return r, nil
}

// stillCreating makes sure that a creation which took long, perhaps while another controller
// was leading, does not bring back a volume that has been deleted since.
func (s *Store) stillCreating(r Record) error {
	have, err := s.Get(r.ID)
	if errors.Is(err, ErrNotFound) || err == nil && (have.State != Creating || !have.Created.Equal(r.Created)) {
		return fmt.Errorf("volume %s on %s was changed by another controller meanwhile: %w", r.ID, s.volume, ErrBusy)
	}
	return err
}

// makeOwn returns the volume's directory, made and marked as its own.
func (s *Store) makeOwn(r Record) (*safepath.Dir, error) {
	dir, err := s.makeLast(r)
	// Deleting the last other volume below a parent removes the parent, perhaps
	// just as this volume was about to use it.
	for range 3 {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESTALE) {
			break
		}
		dir, err = s.makeLast(r)
	}
	if err != nil {
		return nil, err
	}
	s.step(stepMade)
	err = dir.CreateXattr(markXattr, r.ID)
	if errors.Is(err, fs.ErrExist) {
		err = s.isMarked(dir, r.ID)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	s.step(stepMarked)
	return dir, nil
}

func (s *Store) makeLast(r Record) (*safepath.Dir, error) {
	parent, err := s.makeParents(r)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	name := path.Base(r.Path)
	err = parent.Mkdir(name, freshMode)
	if err == nil {
		return parent.Open(name)
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	dir, err := parent.Open(name)
	if err != nil {
		return nil, notADirectory(err)
	}
	if err := s.isOwn(dir, r); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// isOwn returns nil for a directory that carries r's mark, or that r's creation made
// and was killed before marking.
func (s *Store) isOwn(dir *safepath.Dir, r Record) error {
	mark, err := dir.Xattr(markXattr)
	if err != nil || mark == r.ID {
		return err
	}
	if mark == "" && r.State == Creating {
		fresh, err := isFresh(dir)
		if err != nil || fresh {
			return err
		}
	}
	return s.foreign(dir, r.ID, mark)
}

// isMarked is isOwn for a volume whose creation is complete.
func (s *Store) isMarked(dir *safepath.Dir, id string) error {
	mark, err := dir.Xattr(markXattr)
	if err == nil && mark != id {
		err = s.foreign(dir, id, mark)
	}
	return err
}

func (s *Store) foreign(dir *safepath.Dir, id, mark string) error {
	if mark == "" {
		return fmt.Errorf("directory %s was there before volume %s and is not the driver's: %w: choose another `path` in the StorageClass, or use the directory as it is by a static PersistentVolume", dir.Name(), id, ErrForeign)
	}
	return fmt.Errorf("directory %s belongs to volume %s, not to %s: %w: a `path` that ends in ${pv.name} is never taken twice", dir.Name(), mark, id, ErrForeign)
}

// hasFreshMode leaves setgid out: below a directory that has it, mkdir sets it.
func hasFreshMode(st unix.Stat_t) bool { return st.Mode&0o7777&^unix.S_ISGID == freshMode }

func isFresh(dir *safepath.Dir) (bool, error) {
	st, err := dir.Stat()
	if err != nil || !hasFreshMode(st) || st.Uid != 0 {
		return false, err
	}
	names, err := dir.Names(1)
	return len(names) == 0, err
}

// notNested looks again after the mark is set: of two volumes that were made within
// each other at the same moment, at least one sees the other here.
func (s *Store) notNested(p string, dir *safepath.Dir) error {
	names, err := dir.Names(1)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("directory %s on %s has something in it already (%q): %w: %w", p, s.volume, names[0], ErrNested, ErrBusy)
	}
	if path.Dir(p) == "." {
		return nil
	}
	parent, err := s.openParents(p, nil)
	if errors.Is(err, ErrNested) {
		return fmt.Errorf("%w: %w", err, ErrBusy)
	}
	if err == nil {
		parent.Close()
	}
	return err
}
