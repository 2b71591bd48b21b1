// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Revoke takes back a volume that is ready, and has no directory: what was to become that went another way, and nobody
// was told of the volume. ErrBusy if the directory is there by now. Another life of the ID stays as it is.
func (s *Creations) Revoke(r volume.Record) error {
	f, err := s.Find(r.ID)
	if err != nil || f.State != store.Ready || f.Record.Stamp() != r.Stamp() {
		return err
	}
	if err := f.Record.CheckWritable(); err != nil {
		return err
	}
	creating, err := s.EnsureShard(owndir.CreatingDir, r.ID)
	if err != nil {
		return err
	}
	b := HalfMade{File: owndir.File{Dir: creating, Name: r.Stamp() + store.RevokedSuffix}, Stamp: r.Stamp(), ID: r.ID}
	err = s.MoveRecord(owndir.File{Dir: f.Dir, Name: r.ID + store.RecordSuffix}, b.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another has done it
	}
	if err == nil {
		s.Step(stepUndoing)
		err = s.revokeAside(b, r)
	}
	if err != nil { // of the move it may say so and have been done
		return errors.Join(err, volume.IgnoreNotExist(s.ReturnRecord(b, r)))
	}
	return nil
}

// revokeAside is Revoke of one whose record was moved aside: it goes back where there is an error
// (TestTheRecordOfAVolumeThatCannotBeRevokedIsReturned). Who moves the directory there looks for the record then, and
// this for the directory when the record is moved: so one of them sees the other. A kill before the end makes it ready
// again, for the next who revokes it.
func (s *Creations) revokeAside(b HalfMade, r volume.Record) error {
	f, err := s.FindIn(b.Dir, b.Name)
	if err != nil || f.State == store.Absent {
		return err
	}
	err = s.RetryRefreshed(r.Path, func() error { return s.CheckInPlace(r) })
	if f.Record.Stamp() == r.Stamp() && errors.Is(err, fs.ErrNotExist) {
		return s.takeAllBack(b, []volume.Record{r})
	}
	if err == nil {
		err = fmt.Errorf("its directory is there by now: %w", volume.ErrBusy)
	}
	return err
}
