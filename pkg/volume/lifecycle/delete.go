// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// The named points of the end of a volume whose data stays.
const (
	stepReleasedPath = "delete: path given up"
	stepUnrecorded   = "delete: record removed"
)

// Delete gives a volume up as its record says: its data goes into the trash by one
// rename, however much it is, or stays where it is (onDelete retain, and whatever the
// driver did not create). It needs no free space. A volume that is not there is deleted
// already. Where the record names another directory than is there, it returns ErrForeign and touches nothing.
func (s *Volumes) Delete(ctx context.Context, id string) error {
	if err := s.delete(ctx, id); err != nil {
		return s.Explain(fmt.Errorf("delete volume %s on %s: %w", id, s.Volume, err))
	}
	return nil
}

func (s *Volumes) delete(ctx context.Context, id string) error {
	f, err := s.Find(id)
	if err == nil && f.State != store.Ready {
		// What was half made was never anybody's. It may have come to its end just now.
		if err := s.Creations.UndoHalfMade(id); err != nil {
			return err
		}
		f, err = s.Find(id)
	}
	switch {
	case err != nil:
		return err
	case f.State != store.Ready:
		err = errors.Join(s.giveUpClone(id), s.Trash.CompleteDeletionsOf(id))
	case f.Record.CheckWritable() != nil:
		return f.Record.CheckWritable()
	default:
		if err = s.placeClone(f.Record); err == nil {
			err = s.giveUp(ctx, f)
		}
	}
	if err != nil {
		return err
	}
	return s.Commit()
}

func (s *Volumes) giveUp(ctx context.Context, f store.Lookup) error {
	stays := func(r volume.Record) bool { return r.Origin == volume.Adopted || r.OnDelete == volume.Retain }
	var now volume.Record
	var before *trash.Before
	err := s.both(func(s *Volumes) (err error) {
		now, err = s.Current(f.Record)
		return err
	}, func(s *Volumes) error {
		if !stays(f.Record) { // as it was made, and most likely is
			before = s.Trash.LookBefore(f.Record)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case stays(now):
		f.Record = now
		return s.release(f)
	case before == nil:
		before = s.Trash.LookBefore(f.Record)
	}
	return s.Trash.MoveToTrash(ctx, f, before)
}

// release forgets a volume and leaves its directory. The record goes last: the path of a volume that is there is not
// taken for one of a creation that was killed, whose empty directory goes.
func (s *Volumes) release(f store.Lookup) error {
	r := f.Record
	if err := errors.Join(s.lift(r), s.removeMark(r)); err != nil {
		return err
	}
	if err := s.ReleasePath(r.Path, volume.IsOfVolume(r.Stamp())); err != nil {
		return err
	}
	s.Step(stepReleasedPath)
	if r.Origin == volume.Adopted { // a server that forgot this alone would have a claim without a record: see adopt.go
		if err := s.Commit(); err != nil {
			return err
		}
	}
	if err := s.ForgetGFID(r); err != nil {
		return err
	}
	if err := volume.IgnoreNotExist(f.Dir.Unlink(r.ID + store.RecordSuffix)); err != nil {
		return err
	}
	s.Step(stepUnrecorded)
	// What another has set, or claimed again, that had seen the record.
	return errors.Join(s.lift(r), s.ForgetAttributes(r), s.ReleasePath(r.Path, volume.IsOfVolume(r.Stamp())))
}

// removeMark makes a directory nobody's again that has a mark of the first version.
func (s *Volumes) removeMark(r volume.Record) error {
	if r.Schema > 1 {
		return nil
	}
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		if volume.IsNotThere(err) {
			err = nil
		}
		return err
	}
	defer dir.Close()
	if mark, err := dir.Xattr(store.MarkXattr); err != nil || mark != r.Stamp() {
		return err
	}
	return dir.RemoveXattr(store.MarkXattr)
}

// DeleteUnused deletes the volume of a CSI name, half made or ready, unless there is something in it: that is an
// ErrForeign.
func (s *Volumes) DeleteUnused(ctx context.Context, name string) error {
	r, err := s.GetAsMade(volume.IDFor(name))
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	if err == nil {
		dir, err := s.Root.Open(r.Path)
		if err != nil && !volume.IsNotThere(err) {
			return s.Explain(err)
		}
		if err == nil {
			err = s.Creations.CheckEmpty(dir)
			dir.Close()
		}
		if err != nil && !volume.IsNotThere(err) {
			return s.Explain(fmt.Errorf("volume %s on %s, whose claim has its volume on another Gluster volume now: %w", r.ID, s.Volume, err))
		}
		klog.FromContext(ctx).Info("A volume goes whose claim has its volume on another Gluster volume now",
			"glusterVolume", s.Volume.String(), "volume", r.ID)
	}
	return s.Delete(ctx, volume.IDFor(name))
}
