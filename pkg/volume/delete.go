// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Delete: a kill at any of them is finished by the next Delete
// or by the reconciler.
const (
	stepDeleting = "delete: record deleting"
	stepEntry    = "delete: trash entry made"
	stepMoved    = "delete: data moved"
	stepPruned   = "delete: parents removed"
	stepFiled    = "delete: record moved"
	stepUnmarked = "delete: retained data unmarked"
)

const (
	dataName   = "data"   // a trash entry's data
	doomedName = "doomed" // its data once the reaper has begun
	recordName = "record" + recordSuffix
	timeForm   = "20060102T150405.000000000Z"
)

var entryForm = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)\.(\d{8}T\d{6}\.\d{9}Z)$`)

// entryName names the trash entry of a volume by its ID and the time of its creation: an
// earlier volume of the same ID has another, and two controllers that delete the volume at
// once agree on it.
func entryName(r Record) string { return r.ID + "." + r.Created.UTC().Format(timeForm) }

func validEntry(name string) bool { return len(name) <= 255 && entryForm.MatchString(name) }

// Delete gives a volume up as its record says: its data goes into the trash by one
// rename, however much it is, or stays where it is (onDelete retain, and whatever the
// driver did not create). A volume that is not there is deleted already. Where record
// and mark disagree it returns ErrForeign and touches nothing.
func (s *Store) Delete(ctx context.Context, id string) error {
	r, err := s.Get(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.State == Restoring {
		return fmt.Errorf("volume %s on %s is being restored: %w", id, s.volume, ErrBusy)
	}
	switch {
	case r.State == Creating:
		err = s.undo(r) // it was never anybody's
	case r.Origin == Adopted || r.OnDelete == Retain:
		err = s.release(r)
	default:
		err = s.moveToTrash(ctx, r)
	}
	if err != nil {
		return explain(fmt.Errorf("delete volume %s on %s: %w", id, s.volume, err))
	}
	return nil
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
		if mark == r.ID {
			if err := dir.RemoveXattr(markXattr); err != nil {
				return err
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, safepath.ErrLink) && !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	s.step(stepUnmarked)
	return s.drop(r.ID)
}

// moveToTrash does what is left to do of a deletion.
func (s *Store) moveToTrash(ctx context.Context, r Record) error {
	moved, err := s.inTrash(r)
	if err != nil {
		return err
	}
	var from *safepath.Dir
	var name string
	if !moved {
		from, name, err = s.ownDirectory(r)
		switch {
		case err == nil:
			defer from.Close()
		case errors.Is(err, fs.ErrNotExist):
			if have, err := s.Get(r.ID); err != nil || have.State != r.State {
				return s.overtaken(ctx, have, err)
			}
			klog.FromContext(ctx).Info("The volume's directory was gone before it was deleted", "glusterVolume", s.volume.String(), "volume", r.ID, "path", r.Path)
		default:
			return err
		}
	}
	if r, err = s.becomeDeleting(r); err != nil {
		return err
	}
	entry, err := s.makeEntry(r.Entry)
	if err != nil {
		return err
	}
	defer entry.Close()
	s.step(stepEntry)
	if from != nil {
		if err := from.Rename(name, entry, dataName); err != nil && !s.movedMeanwhile(err, r) {
			return err
		}
	}
	s.step(stepMoved)
	return s.fileRecord(r, entry)
}

// overtaken goes on with a deletion after another controller has taken it further, given
// what the record is now.
func (s *Store) overtaken(ctx context.Context, now Record, err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil // to its end
	}
	if err != nil {
		return err
	}
	return s.moveToTrash(ctx, now)
}

func (s *Store) becomeDeleting(r Record) (Record, error) {
	if r.State == Deleting {
		return r, nil
	}
	r = r.become(Deleting)
	r.Deleted, r.Entry = r.Since, entryName(r)
	if err := s.change(r); err != nil {
		return Record{}, err
	}
	s.step(stepDeleting)
	return r, nil
}

// movedMeanwhile says whether a failure to move the data into the trash means that
// another controller has done it.
func (s *Store) movedMeanwhile(err error, r Record) bool {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESTALE) {
		return false
	}
	moved, err := s.inTrash(r)
	return moved && err == nil
}

// inTrash says whether an earlier try has moved the data already. Its place may
// belong to another volume by now.
func (s *Store) inTrash(r Record) (bool, error) {
	if r.State != Deleting {
		return false, nil
	}
	trash, err := s.dir(trashDir)
	if err == nil {
		var entry *safepath.Dir
		if entry, err = trash.Open(r.Entry); err == nil {
			defer entry.Close()
			absent, err := missing(entry, dataName)
			return !absent, err
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return false, err
}

// fileRecord completes a trash entry: from then on the reaper may take it.
func (s *Store) fileRecord(r Record, entry *safepath.Dir) error {
	if err := s.removeParents(r); err != nil {
		return err
	}
	s.step(stepPruned)
	volumes, err := s.dir(volumesDir)
	if err != nil {
		return err
	}
	if err := volumes.Rename(r.ID+recordSuffix, entry, recordName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.step(stepFiled)
	return nil
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
		err = s.isMarked(dir, r.ID)
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

// makeEntry makes the directory of a trash entry. It may be there from an earlier try.
func (s *Store) makeEntry(name string) (*safepath.Dir, error) {
	trash, err := s.makeDir(trashDir)
	if err != nil {
		return nil, err
	}
	if err := trash.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return trash.Open(name)
}
