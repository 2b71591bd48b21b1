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

// grantGroup lets the group read and write all of a volume, unless it is so already. A directory that an operator made is
// looked through before: ErrNested, and nothing changed, if there is a volume in it.
func (s *Store) grantGroup(ctx context.Context, id string, dir *safepath.Dir, gid uint32) error {
	granted, err := tree.Granted(dir, gid)
	if err != nil || granted {
		return explain(err)
	}
	own, err := s.notAnothers()
	if err != nil {
		return explain(err)
	}
	switch _, err := s.Get(id); {
	case errors.Is(err, ErrNotFound):
		if err := tree.Check(ctx, dir, own); err != nil {
			return explain(fmt.Errorf("a group (fsGroup) would get all that is in the directory of volume %s: %w", id, err))
		}
	case err != nil:
		return err
	}
	err = tree.Grant(ctx, dir, gid, own)
	if errors.Is(err, tree.ErrMoved) {
		err = fmt.Errorf("%w: %w", err, ErrBusy)
	}
	if err != nil {
		return explain(fmt.Errorf("grant %s to group %d: %w", dir.Name(), gid, err))
	}
	return nil
}

// notAnothers keeps a walk out of the driver's own directory and of volumes. The top of the walk, which may be one, is not
// asked about.
func (s *Store) notAnothers() (tree.Own, error) {
	var drivers unix.Stat_t
	dir, err := s.root.Open(ownDir)
	if err == nil {
		drivers, err = dir.Stat()
		dir.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return func(dir *safepath.Dir, st unix.Stat_t) error {
		if st.Ino == drivers.Ino && st.Dev == drivers.Dev {
			return fmt.Errorf("%s is the driver's own directory: %w", dir.Name(), ErrNested)
		}
		mark, err := dir.Xattr(markXattr)
		if err == nil && mark != "" {
			err = fmt.Errorf("%s is volume %s: %w", dir.Name(), stampedID(mark), ErrNested)
		}
		return err
	}, nil
}

// liesInNoVolume returns an ErrNested if the directory at p, which has no record, is in a volume. What
// is not there shows when it is opened.
func (s *Store) liesInNoVolume(p string) error {
	for _, ancestor := range ancestors(p) {
		dir, err := s.root.Open(ancestor)
		if notThere(err) {
			return nil
		}
		if err != nil {
			return explain(err)
		}
		mark, err := dir.Xattr(markXattr)
		dir.Close()
		if err != nil {
			return explain(err)
		}
		if mark != "" {
			return fmt.Errorf("directory %s on %s lies in volume %s: %w: publish that volume, with a subPath", p, s.volume, stampedID(mark), ErrNested)
		}
	}
	return nil
}
