// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// mayAdopt returns the gfid of the directory at a record's path, unless it is, has or is in anything of the driver's.
func (s *Volumes) mayAdopt(ctx context.Context, r volume.Record) (string, error) {
	dir, err := s.Root.Open(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no such directory: %w", volume.ErrNotFound)
	}
	if err != nil {
		return "", volume.NotADirectory(err)
	}
	defer dir.Close()
	gfid, err := store.GFIDOf(dir)
	if err == nil && r.GFID != volume.NoGFID {
		err = s.CheckIdentity(dir, r)
	}
	if err != nil {
		return "", err
	}
	at, err := s.PlaceOf(r.Path)
	if err == nil {
		err = s.CheckOneName(dir, at)
	}
	if err == nil {
		err = s.isApart(ctx, r, dir)
	}
	return gfid, err
}

// isApart looks at all claims and records: those of volumes that are being made or restored say where they are to be.
func (s *Volumes) isApart(ctx context.Context, r volume.Record, dir *safepath.Dir) error {
	claims, err := s.Files(owndir.PathsDir)
	if err == nil {
		err = permits.Each(ctx, s.Permit, claims, func(claim owndir.File) error { return s.isApartFromClaim(r, claim) })
	}
	if err != nil {
		return err
	}
	inodes, err := s.inodesTo(r.Path, dir)
	if err != nil {
		return err
	}
	return s.ForEach(ctx, func(other volume.Record) error {
		gfid, err := s.RecordedGFID(other)
		switch {
		case err != nil || other.Stamp() == r.Stamp():
			return err
		case related(other.Path, r.Path):
			return apartFrom(s.WithOwner(other.ID), other.Path, r.Path)
		case gfid != "" && gfid != volume.NoGFID && inodes[store.InodeOf(gfid)]:
			return fmt.Errorf("it is, or lies in, the directory of volume %s, which was moved from %s: %w",
				other.ID, other.Path, volume.ErrNested)
		}
		return nil
	})
}

func (s *Volumes) isApartFromClaim(r volume.Record, claim owndir.File) error {
	content, err := owndir.Readlink(claim.Dir, claim.Name)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	h, err := volume.ParsePathClaim(content)
	if err != nil || h.Stamp == r.Stamp() || h.Parent && h.Path != r.Path || !related(h.Path, r.Path) {
		return err
	}
	lives, err := s.Lives(h)
	if err == nil && lives {
		err = apartFrom(s.WithOwner(volume.IDOfStamp(h.Stamp)), h.Path, r.Path)
	}
	return err
}

// related says whether two paths are the same, or one is within the other.
func related(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

func apartFrom(other, at, p string) error {
	if at == p {
		return fmt.Errorf("the directory belongs to %s: %w", other, volume.ErrForeign)
	}
	return fmt.Errorf("%s has the directory %s: %w", other, at, volume.ErrNested)
}

// inodesTo returns the inode numbers of a directory and of those that it lies in, which have no mark of the first
// version.
func (s *Volumes) inodesTo(p string, dir *safepath.Dir) (map[uint64]bool, error) {
	inodes := map[uint64]bool{}
	add := func(dir *safepath.Dir) error {
		mark, err := dir.Xattr(store.MarkXattr)
		var st unix.Stat_t
		if err == nil && mark != "" {
			err = fmt.Errorf("it is, or lies in, the directory of volume %s: %w", volume.IDOfStamp(mark), volume.ErrNested)
		}
		if err == nil {
			st, err = dir.Stat()
		}
		inodes[st.Ino] = true
		return err
	}
	err := add(dir)
	for _, ancestor := range creation.Ancestors(p) {
		if err != nil {
			return nil, err
		}
		var above *safepath.Dir
		if above, err = s.Root.Open(ancestor); err == nil {
			err = add(above)
			above.Close()
		}
	}
	return inodes, err
}
