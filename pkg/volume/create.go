// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Create: a kill at any of them is finished by the next Create
// or Delete of the same volume.
const (
	stepOpened     = "create: claim opened"
	stepClaimed    = "create: claimed"
	stepParent     = "create: parent made"
	stepPathHeld   = "create: path claimed"
	stepMade       = "create: directory made"
	stepIdentified = "create: gfid recorded"
	stepOwned      = "create: owner set"
	stepMode       = "create: mode set"
	stepReady      = "create: ready"
	stepDone       = "create: claim given up"
)

// newMode is the mode of a volume's directory until its owner is set: nobody else may enter it.
const newMode = 0o700

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
		return Record{}, s.explain(fmt.Errorf("claim volume %s on %s: %w", r.ID, s.volume, err))
	}
	s.step(stepClaimed)
	made, err := s.finish(r, spec)
	if err != nil {
		return Record{}, errors.Join(err, s.undo(r))
	}
	return made, nil
}

// finish makes the volume of a claim, or goes on with the earlier claim that holds the path.
func (s *Store) finish(r Record, spec Spec) (Record, error) {
	held, err := s.takePlace(r.ID, holder{stamp: r.stamp(), path: r.Path})
	if err != nil {
		return Record{}, s.explain(fmt.Errorf("make directory %s on %s: %w", r.Path, s.volume, err))
	}
	if held.stamp == r.stamp() {
		s.step(stepPathHeld)
		return s.complete(r, true)
	}
	if stampedID(held.stamp) != r.ID {
		return Record{}, fmt.Errorf("directory %s on %s belongs to volume %s, not to %s: %w: a `path` that ends in ${pv.name} is never taken twice",
			r.Path, s.volume, stampedID(held.stamp), r.ID, ErrForeign)
	}
	earlier, ready, err := s.earlier(r.ID, held.stamp)
	if err == nil {
		err = earlier.satisfies(spec)
	}
	if err != nil {
		return Record{}, s.explain(err)
	}
	if err := s.undo(r); err != nil { // it is not needed
		return Record{}, err
	}
	if ready {
		return earlier, nil
	}
	return s.complete(earlier, false)
}

// earlier returns the volume that holds the path where it is to be made again: one that has
// become ready meanwhile, or whose making was interrupted. ErrBusy if it is just being made, or on
// its way out.
func (s *Store) earlier(id, stamp string) (r Record, ready bool, err error) {
	r, err = s.Get(id)
	if err == nil && r.stamp() == stamp {
		return r, true, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Record{}, false, err
	}
	creating, err := s.dir(creatingDir)
	if err != nil {
		return Record{}, false, err
	}
	if s.mayGoOn(&s.sightings.creations, stamp) {
		return Record{}, false, fmt.Errorf("another controller is making volume %s on %s: %w", id, s.volume, ErrBusy)
	}
	r, err = readRecord(creating, stamp+recordSuffix)
	if err == nil && r.Schema > 1 {
		return r, false, r.writable()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, err
	}
	err = fmt.Errorf("an earlier volume %s on %s is on its way out: %w", id, s.volume, ErrBusy)
	return Record{}, false, errors.Join(err, s.undoBegun(id), s.finishDeletion(id))
}

// takePlace makes h the holder of a path at which nothing is, after making the directories on the way to it, and
// returns the holder that there is: h, or another of the same path. ErrForeign where something is that nobody holds,
// ErrNested if it is in a volume, or volumes are in it.
func (s *Store) takePlace(id string, h holder) (held holder, err error) {
	err = s.afresh(h.path, func() error {
		held, err = s.tryPlace(id, h)
		return err
	})
	return held, err
}

func (s *Store) tryPlace(id string, h holder) (holder, error) {
	parent, err := s.makeParents(h.path, h.stamp)
	if err != nil {
		return holder{}, err
	}
	defer parent.Close()
	// First: what is there now was not made by whoever claims the path next.
	absent, err := missing(parent, path.Base(h.path))
	if err != nil {
		return holder{}, err
	}
	if !absent {
		return s.holderOfPlace(parent, h.path, id)
	}
	held, err := s.claimPath(h)
	switch {
	case err == nil:
		return held, nil
	case errors.Is(err, fs.ErrExist) && held.parent:
		return holder{}, fmt.Errorf("directory %s on %s is being made to hold volume %s: %w: %w", h.path, s.volume, stampedID(held.stamp), ErrNested, ErrBusy)
	case errors.Is(err, fs.ErrExist):
		return held, nil
	}
	return holder{}, err
}

// holderOfPlace returns the holder of a path at which something is.
func (s *Store) holderOfPlace(parent *safepath.Dir, p, id string) (holder, error) {
	dir, err := parent.Open(path.Base(p))
	if err != nil {
		return holder{}, notADirectory(err)
	}
	defer dir.Close()
	held, err := s.whoHolds(dir, p)
	if err != nil {
		return holder{}, err
	}
	if held.parent || held.stamp == "" {
		return holder{}, errors.Join(s.undoUnmarked(id), s.foreign(dir, id, ""))
	}
	return held, nil
}

// complete takes a claim that holds its path to its end. new says that it has just got the path, so that nothing can
// be there that an earlier attempt has made.
func (s *Store) complete(r Record, isNew bool) (Record, error) {
	dir, err := s.makeDirectory(&r, isNew)
	if err == nil {
		defer dir.Close()
		err = s.setOwner(dir, r.Owner)
	}
	if err == nil {
		err = s.finishClaim(r)
	}
	if errors.Is(err, ErrBusy) { // perhaps because another controller has brought the very claim to its end
		if have, getErr := s.Get(r.ID); getErr == nil && have.stamp() == r.stamp() {
			return have, nil
		}
	}
	if err != nil {
		return Record{}, s.explain(fmt.Errorf("make directory %s on %s: %w", r.Path, s.volume, err))
	}
	return r, nil
}

// finishClaim makes the volume of a claim ready, and gives up the claim.
func (s *Store) finishClaim(r Record) error {
	creating, err := s.dir(creatingDir)
	if err != nil {
		return err
	}
	claim := r.stamp() + recordSuffix
	err = s.becomeReady(r, creating, claim)
	if err == nil {
		s.step(stepReady)
		err = creating.Unlink(claim)
	}
	if errors.Is(err, fs.ErrExist) || err != nil && ignoreNotExist(err) == nil {
		return fmt.Errorf("another controller made or took back volume %s on %s meanwhile: %w: %w", r.ID, s.volume, err, ErrBusy)
	}
	if err != nil {
		return err
	}
	s.step(stepDone)
	return nil
}

// makeDirectory makes the volume's directory, or opens the one that an earlier attempt has made, and records its
// gfid. A directory whose maker was killed before its gfid was recorded is known by the path,
// which was free when it was claimed, and by being empty.
func (s *Store) makeDirectory(r *Record, isNew bool) (*safepath.Dir, error) {
	var dir *safepath.Dir
	// Deleting the last other volume below a parent removes the parent, perhaps
	// just as this volume was about to use it.
	err := s.afresh(r.Path, func() (err error) {
		dir, err = s.tryDirectory(r, isNew)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.step(stepMade)
	if err := s.identify(r, dir); err != nil {
		dir.Close()
		return nil, err
	}
	s.step(stepIdentified)
	return dir, nil
}

func (s *Store) tryDirectory(r *Record, isNew bool) (*safepath.Dir, error) {
	parent, err := s.makeParents(r.Path, r.stamp())
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	name := path.Base(r.Path)
	made := parent.Mkdir(name, newMode)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return nil, made
	}
	dir, err := parent.Open(name)
	if err != nil {
		return nil, notADirectory(err)
	}
	if made == nil {
		return dir, nil
	}
	err = s.mayContinue(dir, r, isNew)
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// mayContinue says whether a directory that is in a volume's place, which the volume holds, is of an earlier attempt to
// make it.
func (s *Store) mayContinue(dir *safepath.Dir, r *Record, isNew bool) error {
	if r.GFID != noGFID {
		return s.isOwn(dir, *r)
	}
	if isNew { // it came between the look and the claim
		return errors.Join(s.foreign(dir, r.ID, ""), s.releasePath(r.Path, heldBy(r.stamp())))
	}
	names, err := dir.Names(1)
	if err == nil && len(names) > 0 {
		err = s.foreign(dir, r.ID, "")
	}
	return err
}

// identify records the directory's gfid in the claim, and looks again who holds the path: a claim that has been given
// up meanwhile as that of a dead maker is not to become a volume.
func (s *Store) identify(r *Record, dir *safepath.Dir) error {
	gfid, err := gfidOf(dir)
	if err != nil {
		return err
	}
	if r.GFID != gfid {
		r.GFID = gfid
		if err := s.rewriteClaim(*r); err != nil {
			return err
		}
	}
	held, err := s.holderOf(r.Path)
	if err == nil && held.stamp != r.stamp() {
		err = fs.ErrNotExist
	}
	if err != nil && ignoreNotExist(err) == nil {
		return fmt.Errorf("another controller took back volume %s on %s meanwhile: %w", r.ID, s.volume, ErrBusy)
	}
	return err
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
