// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// A directory is known by its gfid: the same on every brick, kept by rename, healed by GlusterFS onto bricks that are
// added, and nobody's to choose. The client answers it by itself, so to ask costs nothing.
const gfidXattr = "glusterfs.gfid.string"

// MarkXattr tied a directory to its record before records had a gfid (schema 1). GlusterFS does not carry it to the
// bricks that a distributed volume gets later, so what it says is written down when it is first seen: see takeOver.
const MarkXattr = "trusted.csi.volume"

// GFIDOf returns a directory's own.
func GFIDOf(dir *safepath.Dir) (string, error) {
	gfid, err := dir.Xattr(gfidXattr)
	if err == nil && !volume.IsGFID(gfid) {
		err = fmt.Errorf("directory %s has the gfid %q: %w: is it on a GlusterFS client's mount?", dir.Name(), gfid, volume.ErrInvalid)
	}
	return gfid, err
}

// InodeOf returns the inode number that GlusterFS gives what has a gfid: its last 8 bytes.
func InodeOf(gfid string) uint64 {
	digits := strings.ReplaceAll(gfid, "-", "")
	inode, _ := strconv.ParseUint(digits[len(digits)-16:], 16, 64) // IsGFID lets no others through
	return inode
}

// CheckIdentity returns nil if the directory is the volume's, and ErrForeign if not.
func (s *Store) CheckIdentity(dir *safepath.Dir, r volume.Record) error {
	have, err := GFIDOf(dir)
	if err != nil {
		return err
	}
	want, err := s.RecordedGFID(r)
	if err != nil {
		return err
	}
	if want == "" {
		return s.takeOver(dir, r, have)
	}
	if have != want {
		return fmt.Errorf("directory %s has the gfid %s, volume %s has %s: %w: look who put it there, and move it away",
			dir.Name(), have, r.ID, want, volume.ErrForeign)
	}
	return nil
}

// RecordedGFID is "" for a volume of schema 1 that has not been taken over.
func (s *Store) RecordedGFID(r volume.Record) (string, error) {
	if r.Schema > 1 {
		return r.GFID, nil
	}
	gfids, err := s.OwnDirectory(owndir.GFIDsDir)
	if err == nil {
		var gfid string
		if gfid, err = owndir.Readlink(gfids, r.Stamp()); err == nil {
			return gfid, nil
		}
	}
	return "", volume.IgnoreNotExist(err)
}

// takeOver writes down the gfid of a directory that carries the mark of a volume of schema 1, and that it holds its
// path. ErrForeign if it does not carry it.
func (s *Store) takeOver(dir *safepath.Dir, r volume.Record, gfid string) error {
	mark, err := dir.Xattr(MarkXattr)
	if err != nil {
		return err
	}
	if mark != r.Stamp() {
		return s.ForeignError(dir, r.ID, mark)
	}
	err = s.RecordGFID(r, gfid)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS) {
		klog.Background().Error(err, "A volume of an earlier version is known by its mark alone until it can be written down",
			"glusterVolume", s.Volume.String(), "volume", r.ID)
		return nil
	}
	return err
}

// RecordGFID writes down the gfid of a volume of schema 1, and that it holds its path.
func (s *Store) RecordGFID(r volume.Record, gfid string) error {
	if err := s.MakeTop(owndir.GFIDsDir); err != nil {
		return err
	}
	gfids, err := s.OwnDirectory(owndir.GFIDsDir)
	if err != nil {
		return err
	}
	paths, err := s.pathShard(volume.PathClaimName(r.Path))
	if err != nil {
		return err
	}
	defer s.DropFirstNames() // which no Commit need follow: what is lost is written down again
	if err := volume.IgnoreExist(s.makeClaim(paths, nil, volume.PathClaim{Stamp: r.Stamp(), Path: r.Path})); err != nil {
		return err
	}
	return volume.IgnoreExist(s.ClaimLink(gfids, gfid, r.Stamp()))
}

// ForgetGFID removes what takeOver has written down, when nothing of the volume is left.
func (s *Store) ForgetGFID(r volume.Record) error {
	if r.Schema > 1 {
		return nil
	}
	gfids, err := s.OwnDirectory(owndir.GFIDsDir)
	if err == nil {
		err = gfids.Unlink(r.Stamp())
	}
	return volume.IgnoreNotExist(err)
}

// ForeignError is the ErrForeign of a directory in a volume's place: holder is the stamp of the volume that has it, ""
// if none is known.
func (s *Store) ForeignError(dir *safepath.Dir, id, holder string) error {
	if holder == "" {
		return fmt.Errorf("directory %s was there before volume %s and is not the driver's: %w: choose another `path` in the StorageClass, or use the directory as it is by a static PersistentVolume", dir.Name(), id, volume.ErrForeign)
	}
	return fmt.Errorf("directory %s belongs to volume %s, not to %s: %w: a `path` that ends in ${pv.name} is never taken twice", dir.Name(), volume.IDOfStamp(holder), id, volume.ErrForeign)
}

// IsKnownAs is CheckIdentity, and takes nothing over.
func (s *Store) IsKnownAs(dir *safepath.Dir, r volume.Record) (bool, error) {
	have, err := GFIDOf(dir)
	if err != nil {
		return false, err
	}
	want, err := s.RecordedGFID(r)
	if err != nil || want != "" {
		return have == want, err
	}
	mark, err := dir.Xattr(MarkXattr)
	return mark == r.Stamp(), err
}
