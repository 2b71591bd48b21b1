// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

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

func ancestors(p string) []string {
	var list []string
	for at := path.Dir(p); at != "."; at = path.Dir(at) {
		list = append(list, at)
	}
	slices.Reverse(list)
	return list
}

// missingParents returns the ancestors of p that are not there, the outermost first.
func (s *Store) missingParents(p string) ([]string, error) {
	for i, ancestor := range ancestors(p) {
		dir, err := s.root.Open(ancestor)
		if errors.Is(err, fs.ErrNotExist) {
			return ancestors(p)[i:], nil
		}
		if err != nil {
			return nil, notADirectory(err)
		}
		dir.Close()
	}
	return nil, nil
}

// makeParents returns the directory that is to hold the volume, making the ancestors
// that are missing and marking them as the driver's.
func (s *Store) makeParents(r Record) (*safepath.Dir, error) {
	return s.openParents(r.Path, func(at *safepath.Dir, ancestor string) (*safepath.Dir, error) {
		name := path.Base(ancestor)
		err := at.Mkdir(name, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		s.step(stepParents)
		dir, openErr := at.Open(name)
		if err != nil || openErr != nil {
			return dir, openErr
		}
		// It may have been there when the volume was claimed, and gone with another since.
		if err := dir.CreateXattr(parentXattr, "1"); err != nil && !errors.Is(err, fs.ErrExist) {
			dir.Close()
			return nil, err
		}
		return dir, nil
	}, r.NewParents...)
}

// openParents walks to the directory that holds p, past no volume's mark. A missing
// ancestor is made by create where there is one; those in own get the parent mark.
func (s *Store) openParents(p string, create func(*safepath.Dir, string) (*safepath.Dir, error), own ...string) (*safepath.Dir, error) {
	at, err := s.root.Open(".")
	if err != nil {
		return nil, err
	}
	for _, ancestor := range ancestors(p) {
		next, err := at.Open(path.Base(ancestor))
		if errors.Is(err, fs.ErrNotExist) && create != nil {
			next, err = create(at, ancestor)
		}
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
		if err := s.checkParent(at, ancestor, slices.Contains(own, ancestor)); err != nil {
			at.Close()
			return nil, err
		}
	}
	return at, nil
}

// whose returns the mark of the volume that a directory is, and whether it is one that
// is being made. A volume's directory is fresh until after it is marked: looking in this
// order sees at least one of the two.
func whose(dir *safepath.Dir) (mark string, making bool, err error) {
	st, err := dir.Stat()
	if err != nil || hasFreshMode(st) {
		return "", err == nil, err
	}
	mark, err = dir.Xattr(markXattr)
	return mark, false, err
}

func (s *Store) checkParent(dir *safepath.Dir, ancestor string, own bool) error {
	mark, making, err := whose(dir)
	switch {
	case err != nil:
		return err
	case making:
		return fmt.Errorf("directory %s on %s is becoming a volume: %w: %w", ancestor, s.volume, ErrNested, ErrBusy)
	case mark != "":
		return fmt.Errorf("directory %s on %s is volume %s: %w", ancestor, s.volume, mark, ErrNested)
	}
	if !own {
		return nil
	}
	if err := dir.CreateXattr(parentXattr, "1"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// removeParents removes the volume's ancestors that the driver made and that hold
// nothing any more, the innermost first. They are marked, or their making was cut short
// and is in the record.
func (s *Store) removeParents(r Record) error {
	for _, ancestor := range slices.Backward(ancestors(r.Path)) {
		holder, name, err := s.split(ancestor)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = removeParent(holder, name, slices.Contains(r.NewParents, ancestor))
		holder.Close()
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, errNotOurs) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

var errNotOurs = errors.New("the driver did not make it")

func removeParent(holder *safepath.Dir, name string, own bool) error {
	dir, err := holder.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	volume, making, err := whose(dir)
	if err != nil {
		return err
	}
	parent, err := dir.Xattr(parentXattr)
	if err != nil {
		return err
	}
	if volume != "" || making || parent == "" && !own {
		return errNotOurs
	}
	return holder.Rmdir(name)
}

// undo takes back a creation that failed, unless another controller has finished it
// meanwhile. Nothing that holds data can go: only an empty directory is removed.
func (s *Store) undo(r Record) error {
	have, err := s.Get(r.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && have.State != Creating {
		return nil
	}
	if err == nil {
		err = s.removeEmpty(r)
	}
	if err == nil {
		err = s.removeParents(r)
	}
	if err == nil {
		err = s.drop(r.ID)
	}
	if err != nil {
		return fmt.Errorf("and it could not be undone yet: %w", err)
	}
	return nil
}

func (s *Store) removeEmpty(r Record) error {
	parent, name, err := s.split(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR) {
		return nil // nothing can have been made behind it
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	dir, err := parent.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, safepath.ErrLink), errors.Is(err, unix.ENOTDIR):
		return nil
	case err != nil:
		return err
	}
	defer dir.Close()
	if err := s.isOwn(dir, r); errors.Is(err, ErrForeign) {
		return nil
	} else if err != nil {
		return err
	}
	err = parent.Rmdir(name)
	if errors.Is(err, unix.ENOTEMPTY) {
		// Another volume was made in it at the same moment: it stays, as a parent.
		return s.becomeParent(dir)
	}
	return err
}

func (s *Store) becomeParent(dir *safepath.Dir) error {
	if err := s.holdsVolume(dir); err != nil {
		return err
	}
	if err := dir.CreateXattr(parentXattr, "1"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := dir.Chmod(0o755); err != nil {
		return err
	}
	return dir.RemoveXattr(markXattr)
}

// holdsVolume returns nil if what is in the directory is a volume or leads to one, and not a
// pod's data.
func (s *Store) holdsVolume(dir *safepath.Dir) error {
	names, err := dir.Names(1)
	if err != nil || len(names) == 0 {
		return err
	}
	inner, err := dir.Open(names[0])
	if err != nil {
		return notADirectory(err)
	}
	defer inner.Close()
	mark, making, err := whose(inner)
	if err != nil || mark != "" || making {
		return err
	}
	parent, err := inner.Xattr(parentXattr)
	if err == nil && parent == "" {
		err = fmt.Errorf("directory %s has data in it: %w", dir.Name(), ErrForeign)
	}
	return err
}
