// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
)

// notAnothers keeps a walk out of the driver's own directory and of volumes. The top of the walk, which may be one, is not
// asked about. In a volume that has a record there is no other, as volumes do not nest; in a directory that an operator
// made there may be many, so with every true they are all known.
func (s *Store) notAnothers(ctx context.Context, every bool) (tree.Own, error) {
	var drivers unix.Stat_t
	dir, err := s.root.Open(ownDir)
	if err == nil {
		drivers, err = dir.Stat()
		dir.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	volumes := map[uint64]string{} // IDs by the inode number of the directory
	if every {
		if volumes, err = s.inodes(ctx); err != nil {
			return nil, err
		}
	}
	return func(dir *safepath.Dir, st unix.Stat_t) error {
		if st.Ino == drivers.Ino && st.Dev == drivers.Dev {
			return fmt.Errorf("%s is the driver's own directory: %w", dir.Name(), ErrNested)
		}
		id := volumes[st.Ino]
		if id == "" {
			mark, err := dir.Xattr(markXattr) // of a volume that has not been taken over
			if err != nil || mark == "" {
				return err
			}
			id = stampedID(mark)
		}
		return fmt.Errorf("%s is volume %s: %w", dir.Name(), id, ErrNested)
	}, nil
}

// inodes returns the IDs of all volumes by the inode numbers of their directories.
func (s *Store) inodes(ctx context.Context) (map[uint64]string, error) {
	found := map[uint64]string{}
	err := s.forEach(ctx, func(r Record) error {
		gfid, err := s.recordedGFID(r)
		if gfid == noGFID {
			err = fmt.Errorf("volume %s on %s is being made: %w", r.ID, s.volume, ErrBusy)
		}
		if err == nil && gfid != "" {
			found[inodeOf(gfid)] = r.ID
		}
		return err
	})
	return found, err
}
