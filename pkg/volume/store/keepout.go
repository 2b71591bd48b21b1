// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// KeepOut keeps a walk out of the driver's own directory and of volumes. The top of the walk, which may be one, is not
// asked about. In a volume that has a record there is no other, as volumes do not nest; in a directory that an operator
// made there may be many, so with every true they are all known.
func (s *Store) KeepOut(ctx context.Context, every bool) (tree.Own, error) {
	var drivers unix.Stat_t
	dir, err := s.Root.Open(volume.OwnDir)
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
			return fmt.Errorf("%s is the driver's own directory: %w", dir.Name(), volume.ErrNested)
		}
		id := volumes[st.Ino]
		if id == "" {
			mark, err := dir.Xattr(MarkXattr) // of a volume that has not been taken over
			if err != nil || mark == "" {
				return err
			}
			id = volume.IDOfStamp(mark)
		}
		return fmt.Errorf("%s is volume %s: %w", dir.Name(), id, volume.ErrNested)
	}, nil
}

// inodes returns the IDs of all volumes by the inode numbers of their directories.
func (s *Store) inodes(ctx context.Context) (map[uint64]string, error) {
	found := map[uint64]string{}
	err := s.ForEach(ctx, func(r volume.Record) error {
		gfid, err := s.RecordedGFID(r)
		if gfid == volume.NoGFID {
			err = fmt.Errorf("volume %s on %s is being made: %w", r.ID, s.Volume, volume.ErrBusy)
		}
		if err == nil && gfid != "" {
			found[InodeOf(gfid)] = r.ID
		}
		return err
	})
	return found, err
}
