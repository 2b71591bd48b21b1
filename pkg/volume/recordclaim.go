// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of the claim of a record.
const (
	stepOpened  = "create: record made"
	stepClaimed = "create: claimed"
)

// claim is the record of a volume that is being made, held open: whoever takes the volume back moves it away, and
// what is written into it then is in nobody's way.
type claim struct {
	file *os.File
	dir  *safepath.Dir
	name string
}

// claim makes the record of a volume, which says that the volume is being made as long as it has no gfid;
// fs.ErrExist where there is a record. What it says first need not be on disk: see takeBack.
func (s *Store) claim(r Record) (*claim, error) {
	c, err := s.openRecord(r.ID)
	if err != nil {
		return nil, err
	}
	s.step(stepOpened)
	if err := c.write(r); err != nil {
		return nil, errors.Join(err, c.file.Close())
	}
	s.step(stepClaimed)
	return c, nil
}

// openRecord makes the file of a record, and writes nothing.
func (s *Store) openRecord(id string) (*claim, error) {
	dir, err := s.home(volumesDir, id)
	if err != nil {
		return nil, err
	}
	c := &claim{dir: dir, name: id + recordSuffix}
	c.file, err = dir.OpenFile(c.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// write writes the whole record, which has the size of what was written before.
func (c *claim) write(r Record) error {
	_, err := c.file.WriteAt(r.encode(), 0)
	return err
}

// complete makes a volume of what was claimed: it is on disk, and there for everybody, when it returns. ErrBusy if it
// was taken back before.
func (c *claim) complete(r Record) error {
	err := c.write(r)
	if err == nil {
		err = c.file.Sync()
	}
	var mine unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(c.file.Fd()), &mine)
	}
	if err != nil {
		return err
	}
	err = ignoreNotExist(c.dir.Refresh(c.name))
	there, statErr := c.dir.StatEntry(c.name)
	if err = errors.Join(err, ignoreNotExist(statErr)); err == nil && (statErr != nil || there.Ino != mine.Ino) {
		err = fmt.Errorf("another controller took it back meanwhile: %w", ErrBusy)
	}
	return err
}

func (c *claim) close() { _ = c.file.Close() } // what matters was synced
