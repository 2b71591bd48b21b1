// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"math"

	"k8s.io/klog/v2"
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
	s.step(stepReleasedPath)
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

// deleteUnused deletes the volume of a CSI name, half made or ready, unless there is something in it: that is an
// ErrForeign.
func (s *Store) deleteUnused(ctx context.Context, name string) error {
	r, err := s.get(IDFor(name))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil {
		dir, err := s.root.Open(r.Path)
		if err != nil && !notThere(err) {
			return s.explain(err)
		}
		if err == nil {
			err = s.isEmpty(dir)
			dir.Close()
		}
		if err != nil && !notThere(err) {
			return s.explain(fmt.Errorf("volume %s on %s, whose claim has its volume on another Gluster volume now: %w", r.ID, s.volume, err))
		}
		klog.FromContext(ctx).Info("A volume goes whose claim has its volume on another Gluster volume now",
			"glusterVolume", s.volume.String(), "volume", r.ID)
	}
	return s.Delete(ctx, IDFor(name))
}
