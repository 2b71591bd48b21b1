// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

const stepClonePlaced = "create: copy moved into its place"

// errGivenUp is of a copy of which another controller has seen that nobody asks for it, just as somebody did.
var errGivenUp = fmt.Errorf("another controller has given up what was copied, and it is copied again when it is asked for: %w", volume.ErrBusy)

// finishClone is placeClone of a volume that a caller is told of: its directory is in its place then. A volume whose copy
// another controller has given up was never anybody's, and is taken back, with an ErrBusy.
func (s *Volumes) finishClone(r volume.Record) error {
	if r.Origin != volume.Cloned {
		return nil
	}
	err := s.placeClone(r)
	if err == nil {
		err = s.RetryRefreshed(r.Path, func() error { return s.CheckInPlace(r) })
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(errGivenUp, err, s.Creations.Revoke(r))
	}
	if err == nil {
		err = s.isNotRevoked(r)
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("move what was copied to %s on %s: %w", r.Path, s.Volume, err))
	}
	return err
}

// isNotRevoked returns an ErrBusy if another controller has found nothing in a volume's place, and taken it back.
func (s *Volumes) isNotRevoked(r volume.Record) error {
	ready, err := s.IsReady(r)
	if err == nil && !ready {
		err = errGivenUp
	}
	return err
}

// placeClone moves what was copied for a volume to the volume's path, and gives up what the copying needed. Where
// that was done, or the volume was not copied, it does nothing.
func (s *Volumes) placeClone(r volume.Record) error {
	if r.Origin != volume.Cloned {
		return nil
	}
	if err := r.CheckWritable(); err != nil {
		return err
	}
	st, err := s.Clones().Find(r.ID)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	tree, err := s.Clones().OpenTree(st)
	if err == nil {
		defer tree.Close()
		var gfid string
		if gfid, err = store.GFIDOf(tree); err == nil && gfid != r.GFID {
			return nil // of another life
		}
		if err == nil {
			err = s.moveClone(r, st, tree)
		}
	}
	if volume.IgnoreNotExist(err) != nil {
		return err
	}
	if err := s.CheckInPlace(r); err != nil {
		return err
	}
	s.Step(stepClonePlaced)
	if err := s.Commit(); err != nil { // before anything is removed below the name that it had
		return err
	}
	return s.Clones().GiveUp(st)
}

func (s *Volumes) moveClone(r volume.Record, st copying.Status, tree *safepath.Dir) error {
	at, err := s.Clones().Place(st)
	if err != nil {
		return err
	}
	where, err := s.PlaceOf(at)
	if err == nil {
		err = s.CheckOneName(tree, where)
	}
	if err != nil {
		return err
	}
	return s.RetryRefreshed(r.Path, func() error {
		parent, err := s.Creations.MakeParents(r.Path, r.Stamp())
		if err != nil {
			return err
		}
		defer parent.Close()
		if err := s.isNotRevoked(r); err != nil { // else the next volume's directory may be there, and empty
			return err
		}
		err = s.Clones().MoveTree(st, owndir.File{Dir: parent, Name: path.Base(r.Path)})
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTDIR) {
			err = fmt.Errorf("%w: %w: look who put something at %s, and move it away", err, volume.ErrForeign, r.Path)
		}
		return err
	})
}
