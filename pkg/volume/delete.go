// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Delete: a kill at any of them is finished by the next Delete
// or by the reconciler.
const (
	stepFiled    = "delete: record moved"
	stepMoved    = "delete: data moved"
	stepCleared  = "delete: parents removed"
	stepUnmarked = "delete: retained data unmarked"
)

// Delete gives a volume up as its record says: its data goes into the trash by one
// rename, however much it is, or stays where it is (onDelete retain, and whatever the
// driver did not create). It needs no free space. A volume that is not there is deleted
// already. Where record and mark disagree it returns ErrForeign and touches nothing.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := s.delete(ctx, id); err != nil {
		return explain(fmt.Errorf("delete volume %s on %s: %w", id, s.volume, err))
	}
	return nil
}

func (s *Store) delete(ctx context.Context, id string) error {
	r, err := s.Get(id)
	if errors.Is(err, ErrNotFound) {
		// What was half made was never anybody's. It may have come to its end just now.
		if err := s.undoBegun(id); err != nil {
			return err
		}
		r, err = s.Get(id)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return s.finishDeletion(id)
	case err != nil:
		return err
	case r.Origin == Adopted || r.OnDelete == Retain:
		return s.release(r)
	}
	return s.moveToTrash(ctx, r)
}

// release forgets a volume and leaves its directory, unmarked.
func (s *Store) release(r Record) error {
	dir, err := s.root.Open(r.Path)
	if err == nil {
		defer dir.Close()
		mark, err := dir.Xattr(markXattr)
		if err != nil {
			return err
		}
		if mark == r.mark() {
			if err := dir.RemoveXattr(markXattr); err != nil {
				return err
			}
		}
	} else if !notThere(err) {
		return err
	}
	s.step(stepUnmarked)
	volumes, err := s.dir(volumesDir)
	if err != nil {
		return err
	}
	return gone(volumes.Unlink(r.ID + recordSuffix))
}

// moveToTrash moves the record, which is the deletion, and then the data.
func (s *Store) moveToTrash(ctx context.Context, r Record) error {
	from, name, err := s.ownDirectory(r)
	switch {
	case err == nil:
		defer from.Close()
	case errors.Is(err, fs.ErrNotExist):
		klog.FromContext(ctx).Info("The volume's directory was gone before it was deleted", "glusterVolume", s.volume.String(), "volume", r.ID, "path", r.Path)
	default:
		return err
	}
	trash, err := s.makeDir(trashDir)
	if err != nil {
		return err
	}
	volumes, err := s.dir(volumesDir)
	if err != nil {
		return err
	}
	entry := stamped(r.ID, now())
	if err := volumes.Rename(r.ID+recordSuffix, trash, entry+recordSuffix); err != nil {
		if gone(err) == nil {
			return s.finishDeletion(r.ID) // another controller was faster
		}
		return err
	}
	s.step(stepFiled)
	err = fs.ErrNotExist
	if from != nil {
		err = from.Rename(name, trash, entry)
	}
	if err != nil {
		if gone(err) == nil {
			// Nothing was there, or what was read is a second old and the volume another by now:
			// the record in the trash says what it is.
			var e TrashEntry
			if e, err = s.entry(entry); err == nil {
				err = s.follow(e)
			}
		}
		return err
	}
	s.step(stepMoved)
	err = s.removeParents(r)
	s.step(stepCleared)
	return err
}

// finishDeletion does what an interrupted deletion of the volume has left to do. ErrBusy if it may
// still go on.
func (s *Store) finishDeletion(id string) error {
	entries, err := s.entries(func(of string) bool { return of == id })
	errs := []error{err}
	for _, e := range entries {
		switch {
		case e.suffix != recordSuffix:
		case !e.moved && time.Since(e.Deleted) <= s.recent:
			errs = append(errs, fmt.Errorf("it is just being deleted: %w", ErrBusy))
		default:
			errs = append(errs, s.follow(e))
		}
	}
	return errors.Join(errs...)
}

// follow makes the data of a deleted volume follow the record, and then its parents. A volume
// that was restored, and whose entry a kill has left, is not deleted.
func (s *Store) follow(e TrashEntry) error {
	if !e.moved {
		if ready, err := s.isReady(e.Record); ready || err != nil {
			return err
		}
		if err := s.moveData(e); err != nil {
			return err
		}
	}
	return s.removeParents(e.Record)
}

// moveData moves what is in the volume's place into the trash if it is the volume's. What is
// there may be another's by now.
func (s *Store) moveData(e TrashEntry) error {
	from, name, err := s.ownDirectory(e.Record)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	trash, err := s.dir(trashDir)
	if err != nil {
		return err
	}
	return gone(from.Rename(name, trash, e.Name))
}

// ownDirectory returns the directory that holds the volume's and the name of it
// there, after making sure that it is the volume's: fs.ErrNotExist where there is
// none, ErrForeign where it is another's.
func (s *Store) ownDirectory(r Record) (*safepath.Dir, string, error) {
	parent, name, err := s.split(r.Path)
	if err != nil {
		return nil, "", notADirectory(err)
	}
	dir, err := parent.Open(name)
	if err == nil {
		err = s.isMarked(dir, r)
		dir.Close()
	}
	if err != nil {
		parent.Close()
		return nil, "", notADirectory(err)
	}
	return parent, name, nil
}

// notADirectory makes an ErrForeign of what is in a volume's place but cannot be it.
func notADirectory(err error) error {
	if errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("%w: %w: it is not followed; look who put it there, and move it away", err, ErrForeign)
	}
	return err
}
