// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// The named points of a deletion: a kill at any of them is finished by the next Delete
// or by the reconciler.
const (
	stepFiled   = "delete: record moved"
	stepFound   = "delete: directory found"
	stepMoved   = "delete: data moved"
	stepCleared = "delete: parents removed"
	stepGivenUp = "delete: path given up"
)

// MoveToTrash moves the record, which is the deletion, and then the data.
func (s *Trash) MoveToTrash(ctx context.Context, f store.Lookup) error {
	r := f.Record
	// A record that a server has lost the removal of is of a volume that is deleted already.
	if newer, err := s.newerEntry(r); err != nil || newer != nil {
		if err == nil {
			err = s.completeDeletionOnAllBricks(*newer)
		}
		return err
	}
	err := s.CheckInPlaceOnAllBricks(r)
	if errors.Is(err, fs.ErrNotExist) {
		klog.FromContext(ctx).Info("The volume's directory was gone before it was deleted", "glusterVolume", s.Volume.String(), "volume", r.ID, "path", r.Path)
		err = nil
	}
	if err != nil {
		return err
	}
	trash, err := s.EnsureShard(store.TrashDir, r.ID)
	if err != nil {
		return err
	}
	entry := volume.EntryBase(volume.StampOf(r.ID, volume.Now()), volume.Keeping{Retention: s.Retention, Kubernetes: s.Kubernetes})
	if err := f.Dir.Rename(r.ID+store.RecordSuffix, trash, entry+store.RecordSuffix); err != nil {
		if volume.IgnoreNotExist(err) == nil {
			return s.CompleteDeletionsOf(r.ID) // another controller was faster
		}
		return err
	}
	s.Step(stepFiled)
	// What was read is a second old, and the volume may be another by now: the record in the trash says what it is.
	e, err := s.ReadEntry(store.File{Dir: trash, Name: entry + store.RecordSuffix})
	if err != nil {
		return volume.IgnoreNotExist(err) // another controller goes on with it
	}
	return s.CompleteDeletion(e)
}

// newerEntry returns the trash entry that a record which is there is older than, or nil.
func (s *Trash) newerEntry(r volume.Record) (*store.TrashEntry, error) {
	entries, err := s.Entries(r.ID)
	for _, e := range entries {
		if err == nil && e.Record.Stamp() == r.Stamp() && e.IsNewerThan(r) {
			return &e, nil
		}
	}
	return nil, err
}

// CompleteDeletionsOf does what an interrupted deletion of the volume has left to do. ErrBusy if it may
// still go on.
func (s *Trash) CompleteDeletionsOf(id string) error {
	entries, err := s.Entries(id)
	errs := []error{err}
	for _, e := range entries {
		switch {
		case e.Suffix != store.RecordSuffix:
		case !e.Moved && s.MayGoOn(&s.Memory.Trash, e.Name):
			errs = append(errs, fmt.Errorf("it is just being deleted: %w", volume.ErrBusy))
		default:
			errs = append(errs, s.completeDeletionOnAllBricks(e))
		}
	}
	return errors.Join(errs...)
}

// completeDeletionOnAllBricks is CompleteDeletion for one that is repeated: it is not at its end as long as a brick has
// the data elsewhere. Nothing is removed, so nobody else's records are read: TestADeletionThatIsRepeatedReadsNoOtherRecord.
func (s *Trash) completeDeletionOnAllBricks(e store.TrashEntry) error {
	if err := s.CompleteDeletion(e); err != nil {
		return err
	}
	if restored, err := s.settle(e); err != nil || restored {
		return err
	}
	data, err := e.Dir.Open(e.Base)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	defer data.Close()
	return s.isOnAllBricks(data, e)
}

// CompleteDeletion makes the data of a deleted volume follow the record, gives up the path, and removes the parents. A
// volume that was restored, and whose entry a kill has left, is not deleted.
func (s *Trash) CompleteDeletion(e store.TrashEntry) error {
	if err := e.Record.CheckWritable(); err != nil {
		return err
	}
	if restored, err := s.settle(e); restored || err != nil {
		return err
	}
	if !e.Moved {
		if err := s.moveData(e); err != nil {
			return err
		}
	}
	if err := s.checkMoved(e); err != nil {
		return err
	}
	if err := s.Creations.RemoveParents(e.Record); err != nil {
		return err
	}
	s.Step(stepCleared)
	// Not that of its restoration, which may have begun.
	isOf := volume.IsOfVolume(e.Record.Stamp())
	err := s.ReleasePath(e.Record.Path, func(h volume.PathClaim) bool { return isOf(h) && h.Entry != e.Base })
	s.Step(stepGivenUp)
	return err
}

// moveData moves the volume's directory into the trash, if it is in its place.
func (s *Trash) moveData(e store.TrashEntry) error {
	err := s.CheckInPlace(e.Record)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, volume.ErrForeign) {
		return nil
	}
	if err != nil {
		return err
	}
	from, name, err := s.OpenParent(e.Record.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	s.Step(stepFound)
	if err := from.Rename(name, e.Dir, e.Base); err != nil {
		return volume.IgnoreNotExist(err)
	}
	s.Step(stepMoved)
	return nil
}

// checkMoved looks whether what was moved into the trash is the volume's directory, and the volume still deleted. What
// is at a path may become another's between a look and an act, or the volume may have been restored; what is in the
// trash under the entry's name stays. What does not belong there is put back.
// The look is of now: who finishes what another has begun comes seconds later (see recent), when neither the kernel
// nor the client believes any more what it knew of the name.
func (s *Trash) checkMoved(e store.TrashEntry) error {
	data, err := e.Dir.Open(e.Base)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	err = s.CheckIdentity(data, e.Record)
	data.Close()
	if err == nil {
		ready, readyErr := s.IsReady(e.Record)
		if err = readyErr; ready {
			err = fmt.Errorf("volume %s was restored meanwhile: %w", e.Record.ID, volume.ErrForeign)
		}
	}
	if errors.Is(err, volume.ErrForeign) {
		if absent, absentErr := s.IsFree(e.Record.Path); !absent || absentErr != nil {
			return errors.Join(err, absentErr)
		}
		return s.Creations.PutBack(e.Dir, e.Base, e.Record.Path)
	}
	return err
}
