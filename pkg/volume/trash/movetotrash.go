// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
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

// Before is what was seen before a deletion.
type Before struct {
	newer   *store.TrashEntry // that the record is older than
	listed  error             // of the entries
	inPlace error
}

// LookBefore looks whether the record of a volume that is to be deleted counts, and the data is in its place.
func (s *Trash) LookBefore(r volume.Record) *Before {
	b := &Before{}
	_ = s.Both(func(theirs *store.Store) error {
		b.newer, b.listed = s.with(theirs).newerEntry(r)
		return nil
	}, func(theirs *store.Store) error {
		b.inPlace = theirs.CheckInPlaceOnAllBricks(r)
		return nil
	})
	return b
}

// MoveToTrash moves the record, which is the deletion, and then the data. Commit is to follow.
func (s *Trash) MoveToTrash(ctx context.Context, f store.Lookup, before *Before) error {
	r := f.Record
	// A record that a server has lost the removal of is of a volume that is deleted already.
	switch {
	case before.listed != nil:
		return before.listed
	case before.newer != nil:
		return s.completeDeletionOnAllBricks(*before.newer)
	case errors.Is(before.inPlace, fs.ErrNotExist):
		klog.FromContext(ctx).Info("The volume's directory was gone before it was deleted", "glusterVolume", s.Volume.String(), "volume", r.ID, "path", r.Path)
	case before.inPlace != nil:
		return before.inPlace
	}
	trash, err := s.EnsureShard(owndir.TrashDir, r.ID)
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
	e, err := s.ReadFiled(owndir.File{Dir: trash, Name: entry + store.RecordSuffix})
	if err != nil {
		return volume.IgnoreNotExist(err) // another controller goes on with it
	}
	return s.completeDeletion(e, s.ReleaseWithCommit)
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
// the data elsewhere. Nothing is removed, so nobody else's records are read:
// TestADeletionThatIsRepeatedReadsNoOtherRecord.
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
	return s.completeDeletion(e, s.ReleasePath) // no Commit need follow
}

// completeDeletion is CompleteDeletion that gives the path up by release. What does not depend on each other is beside
// each other: whether the volume was restored, and whether its data is in its place; then, when that was moved, whether
// it is the volume's, and who holds the path: before, that may have been another
// (TestADeletionThatStoodStillLeavesTheNextVolumesClaim).
func (s *Trash) completeDeletion(e store.TrashEntry, release func(path string, isMeant func(volume.PathClaim) bool) error) error {
	if err := e.Record.CheckWritable(); err != nil {
		return err
	}
	var restored, isInPlace bool
	var looked error
	err := s.Both(func(theirs *store.Store) (err error) {
		restored, err = s.with(theirs).settle(e)
		return err
	}, func(theirs *store.Store) error {
		if !e.Moved {
			isInPlace, looked = s.with(theirs).isInPlace(e.Record)
		}
		return nil
	})
	if restored || err != nil {
		return err
	}
	if looked != nil {
		return looked
	}
	if isInPlace {
		if err := s.moveData(e); err != nil {
			return err
		}
	}
	// Not that of its restoration, which may have begun.
	isOf := volume.IsOfVolume(e.Record.Stamp())
	isMeant := func(h volume.PathClaim) bool { return isOf(h) && h.Entry != e.Base }
	var held volume.PathClaim
	err = s.Both(func(theirs *store.Store) error {
		return s.with(theirs).checkMoved(e)
	}, func(theirs *store.Store) (err error) {
		held, err = theirs.HolderOf(e.Record.Path)
		return volume.IgnoreNotExist(err)
	})
	if err != nil {
		return err
	}
	if err := s.Creations.RemoveParents(e.Record); err != nil {
		return err
	}
	s.Step(stepCleared)
	if isMeant(held) && path.Dir(e.Record.Path) != "." { // looking at parents takes its time
		if held, err = s.HolderOf(e.Record.Path); volume.IgnoreNotExist(err) != nil {
			return err
		}
		err = nil
	}
	if isMeant(held) {
		err = release(e.Record.Path, isMeant)
	}
	s.Step(stepGivenUp)
	return err
}

// isInPlace says whether the directory of a volume is where it was.
func (s *Trash) isInPlace(r volume.Record) (bool, error) {
	err := s.CheckInPlace(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, volume.ErrForeign) {
		return false, nil
	}
	return err == nil, err
}

// moveData moves the volume's directory, which is in its place, into the trash.
func (s *Trash) moveData(e store.TrashEntry) error {
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
	var isThere, ready bool
	var identity, readyErr error
	err := s.Both(func(theirs *store.Store) error {
		data, err := e.Dir.Open(e.Base)
		if err != nil {
			return volume.IgnoreNotExist(err)
		}
		defer data.Close()
		isThere, identity = true, theirs.CheckIdentity(data, e.Record)
		return nil
	}, func(theirs *store.Store) error {
		ready, readyErr = theirs.IsReady(e.Record)
		return nil
	})
	if err != nil || !isThere {
		return err
	}
	err = identity
	if err == nil {
		err = readyErr
	}
	if err == nil && ready {
		err = fmt.Errorf("volume %s was restored meanwhile: %w", e.Record.ID, volume.ErrForeign)
	}
	if errors.Is(err, volume.ErrForeign) {
		if absent, absentErr := s.IsFree(e.Record.Path); !absent || absentErr != nil {
			return errors.Join(err, absentErr)
		}
		return errors.Join(s.Creations.PutBack(e.Dir, e.Base, e.Record.Path), readyErr)
	}
	return err
}
