// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// The named points of the claim of a record.
const (
	stepOpened  = "create: record made"
	stepClaimed = "create: claimed"
)

// RecordClaim is the record of a volume that is being made, held open: whoever takes the volume back moves it away, and
// what is written into it then is in nobody's way.
type RecordClaim struct {
	file *os.File
	Dir  *safepath.Dir // has it
	name string
}

// ClaimRecord makes the record of a volume, which says that the volume is being made as long as it has no gfid;
// fs.ErrExist where there is a record. What it says first need not be on disk: see takeBack.
func (s *Creations) ClaimRecord(r volume.Record) (*RecordClaim, error) {
	c, err := s.OpenRecord(r.ID)
	if err != nil {
		return nil, err
	}
	s.Step(stepOpened)
	if err := c.write(r); err != nil {
		return nil, errors.Join(err, c.file.Close())
	}
	s.Step(stepClaimed)
	return c, nil
}

// OpenRecord makes the file of a record, and writes nothing.
func (s *Creations) OpenRecord(id string) (*RecordClaim, error) {
	dir, err := s.EnsureShard(owndir.VolumesDir, id)
	if err != nil {
		return nil, err
	}
	c := &RecordClaim{Dir: dir, name: id + store.RecordSuffix}
	c.file, err = dir.OpenFile(c.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// write writes the whole record, which has the size of what was written before.
func (c *RecordClaim) write(r volume.Record) error {
	_, err := c.file.WriteAt(r.Encode(), 0)
	return err
}

// Complete makes a volume of what was claimed: it is on disk, and there for everybody, when it returns, and the hold
// has ended. ErrBusy if it was taken back before.
func (s *Creations) Complete(c *RecordClaim, r volume.Record) error {
	err := c.write(r)
	if err == nil {
		err = c.file.Sync()
	}
	mine, statErr := safepath.OfFile(c.file).StatAsKnown() // of which the inode number counts, and never changes
	if err = errors.Join(err, statErr); err != nil {
		return err
	}
	return s.Both(func(*store.Store) error { return c.isInPlace(mine) }, func(*store.Store) error { c.Close(); return nil })
}

// IsInPlace returns an ErrBusy if the record was taken away.
func (c *RecordClaim) IsInPlace() error {
	mine, err := safepath.OfFile(c.file).StatAsKnown() // of which the inode number counts, and never changes
	if err != nil {
		return err
	}
	return c.isInPlace(mine)
}

func (c *RecordClaim) isInPlace(mine unix.Stat_t) error {
	there, err := c.Dir.LookUp(c.name)
	if err == nil && there.Ino != mine.Ino {
		err = fs.ErrNotExist
	}
	if err != nil && volume.IgnoreNotExist(err) == nil {
		err = fmt.Errorf("another controller took it back meanwhile: %w", volume.ErrBusy)
	}
	return err
}

// Close ends the hold, if it has not ended. What matters was synced by Complete.
func (c *RecordClaim) Close() { _ = c.file.Close() }
