// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"k8s.io/klog/v2"
)

// The named points of Delete: a kill at any of them is finished by the next Delete
// or by the reconciler.
const (
	stepFiled      = "delete: record moved"
	stepFound      = "delete: directory found"
	stepMoved      = "delete: data moved"
	stepCleared    = "delete: parents removed"
	stepGivenUp    = "delete: path given up"
	stepUnrecorded = "delete: record removed"
)

// Delete gives a volume up as its record says: its data goes into the trash by one
// rename, however much it is, or stays where it is (onDelete retain, and whatever the
// driver did not create). It needs no free space. A volume that is not there is deleted
// already. Where the record names another directory than is there, it returns ErrForeign and touches nothing.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := s.delete(ctx, id); err != nil {
		return s.explain(fmt.Errorf("delete volume %s on %s: %w", id, s.volume, err))
	}
	return nil
}

func (s *Store) delete(ctx context.Context, id string) error {
	f, err := s.look(id)
	if err == nil && f.state != ready {
		// What was half made was never anybody's. It may have come to its end just now.
		if err := s.undoBegun(id); err != nil {
			return err
		}
		f, err = s.look(id)
	}
	switch {
	case err != nil:
		return err
	case f.state != ready:
		err = s.finishDeletion(id)
	case f.record.writable() != nil:
		return f.record.writable()
	default:
		err = s.giveUp(ctx, f)
	}
	if err != nil {
		return err
	}
	return s.commit()
}

func (s *Store) giveUp(ctx context.Context, f found) error {
	now, err := s.current(f.record)
	switch {
	case err != nil:
		return err
	case now.Origin == Adopted || now.OnDelete == Retain:
		f.record = now
		return s.release(f)
	}
	return s.moveToTrash(ctx, f)
}

// release forgets a volume and leaves its directory. The record goes last: the path of a volume that is there is not
// taken for one of a creation that was killed, whose empty directory goes.
func (s *Store) release(f found) error {
	r := f.record
	if err := errors.Join(s.lift(r), s.removeMark(r)); err != nil {
		return err
	}
	if err := s.releasePath(r.Path, heldBy(r.stamp())); err != nil {
		return err
	}
	s.step(stepGivenUp)
	if r.Origin == Adopted { // a server that forgot this alone would have a claim without a record: see adopt.go
		if err := s.commit(); err != nil {
			return err
		}
	}
	if err := s.forgetGFID(r); err != nil {
		return err
	}
	err := ignoreNotExist(f.dir.Unlink(r.ID + recordSuffix))
	s.step(stepUnrecorded)
	return errors.Join(err, s.forgetAttributes(r, math.MaxInt64))
}

// removeMark makes a directory nobody's again that has a mark of the first version.
func (s *Store) removeMark(r Record) error {
	if r.Schema > 1 {
		return nil
	}
	dir, err := s.root.Open(r.Path)
	if err != nil {
		if notThere(err) {
			err = nil
		}
		return err
	}
	defer dir.Close()
	if mark, err := dir.Xattr(markXattr); err != nil || mark != r.stamp() {
		return err
	}
	return dir.RemoveXattr(markXattr)
}

// moveToTrash moves the record, which is the deletion, and then the data.
func (s *Store) moveToTrash(ctx context.Context, f found) error {
	r := f.record
	// A record that a server has lost the removal of is of a volume that is deleted already.
	if newer, err := s.newerEntry(r); err != nil || newer != nil {
		if err == nil {
			err = s.followAlone(*newer)
		}
		return err
	}
	err := s.isThereAlone(r)
	if errors.Is(err, fs.ErrNotExist) {
		klog.FromContext(ctx).Info("The volume's directory was gone before it was deleted", "glusterVolume", s.volume.String(), "volume", r.ID, "path", r.Path)
		err = nil
	}
	if err != nil {
		return err
	}
	trash, err := s.home(trashDir, r.ID)
	if err != nil {
		return err
	}
	entry := stamped(r.ID, now())
	if err := f.dir.Rename(r.ID+recordSuffix, trash, entry+recordSuffix); err != nil {
		if ignoreNotExist(err) == nil {
			return s.finishDeletion(r.ID) // another controller was faster
		}
		return err
	}
	s.step(stepFiled)
	// What was read is a second old, and the volume may be another by now: the record in the trash says what it is.
	e, err := s.readEntry(file{trash, entry + recordSuffix})
	if err != nil {
		return ignoreNotExist(err) // another controller goes on with it
	}
	return s.follow(e)
}

// newerEntry returns the trash entry that a record which is there is older than, or nil.
func (s *Store) newerEntry(r Record) (*TrashEntry, error) {
	entries, err := s.entries(r.ID)
	for _, e := range entries {
		if err == nil && e.Record.stamp() == r.stamp() && e.isNewerThan(r) {
			return &e, nil
		}
	}
	return nil, err
}

// finishDeletion does what an interrupted deletion of the volume has left to do. ErrBusy if it may
// still go on.
func (s *Store) finishDeletion(id string) error {
	entries, err := s.entries(id)
	errs := []error{err}
	for _, e := range entries {
		switch {
		case e.suffix != recordSuffix:
		case !e.moved && s.mayGoOn(&s.sightings.trash, e.Name):
			errs = append(errs, fmt.Errorf("it is just being deleted: %w", ErrBusy))
		default:
			errs = append(errs, s.followAlone(e))
		}
	}
	return errors.Join(errs...)
}

// followAlone is follow for a deletion that is repeated: it is not at its end as long as a brick has the data elsewhere.
func (s *Store) followAlone(e TrashEntry) error {
	if err := s.follow(e); err != nil {
		return err
	}
	if restored, err := s.settle(e); err != nil || restored {
		return err
	}
	data, err := e.dir.Open(e.Name)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer data.Close()
	return s.isDeletedAlone(data, e)
}

// follow makes the data of a deleted volume follow the record, gives up the path, and removes the parents. A volume
// that was restored, and whose entry a kill has left, is not deleted.
func (s *Store) follow(e TrashEntry) error {
	if err := e.Record.writable(); err != nil {
		return err
	}
	if restored, err := s.settle(e); restored || err != nil {
		return err
	}
	if !e.moved {
		if err := s.moveData(e); err != nil {
			return err
		}
	}
	if err := s.checkMoved(e); err != nil {
		return err
	}
	if err := s.removeParents(e.Record); err != nil {
		return err
	}
	s.step(stepCleared)
	// Not that of its restoration, which may have begun.
	isOf := heldBy(e.Record.stamp())
	err := s.releasePath(e.Record.Path, func(h holder) bool { return isOf(h) && h.entry != e.Name })
	s.step(stepGivenUp)
	return err
}

// moveData moves the volume's directory into the trash, if it is in its place.
func (s *Store) moveData(e TrashEntry) error {
	err := s.isThere(e.Record)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign) {
		return nil
	}
	if err != nil {
		return err
	}
	from, name, err := s.split(e.Record.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	s.step(stepFound)
	if err := from.Rename(name, e.dir, e.Name); err != nil {
		return ignoreNotExist(err)
	}
	s.step(stepMoved)
	return nil
}

// checkMoved looks whether what was moved into the trash is the volume's directory, and the volume still deleted. What
// is at a path may become another's between a look and an act, or the volume may have been restored; what is in the
// trash under the entry's name stays. What does not belong there is put back.
// The look is of now: who finishes what another has begun comes seconds later (see recent), when neither the kernel
// nor the client believes any more what it knew of the name.
func (s *Store) checkMoved(e TrashEntry) error {
	data, err := e.dir.Open(e.Name)
	if err != nil {
		return ignoreNotExist(err)
	}
	err = s.isOwn(data, e.Record)
	data.Close()
	if err == nil {
		ready, readyErr := s.isReady(e.Record)
		if err = readyErr; ready {
			err = fmt.Errorf("volume %s was restored meanwhile: %w", e.Record.ID, ErrForeign)
		}
	}
	if errors.Is(err, ErrForeign) {
		if absent, absentErr := s.isFree(e.Record.Path); !absent || absentErr != nil {
			return errors.Join(err, absentErr)
		}
		return s.putBack(e.dir, e.Name, e.Record.Path)
	}
	return err
}

// isFree says whether nothing is at a path.
func (s *Store) isFree(p string) (bool, error) {
	parent, name, err := s.split(p)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), ignoreNotExist(err)
	}
	defer parent.Close()
	return missing(parent, name)
}

// isThere returns nil if the volume's directory is in its place: fs.ErrNotExist where there is
// none, ErrForeign where it is another's.
func (s *Store) isThere(r Record) error {
	dir, err := s.root.Open(r.Path)
	if err != nil {
		return notADirectory(err)
	}
	defer dir.Close()
	return s.isOwn(dir, r)
}
