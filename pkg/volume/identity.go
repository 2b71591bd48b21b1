// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// A directory is known by its gfid: the same on every brick, kept by rename, healed by GlusterFS onto bricks that are
// added, and nobody's to choose. The client answers it by itself, so to ask costs nothing.
const gfidXattr = "glusterfs.gfid.string"

// markXattr tied a directory to its record before records had a gfid (schema 1). GlusterFS does not carry it to the
// bricks that a distributed volume gets later, so what it says is written down when it is first seen: see takeOver.
const markXattr = "trusted.csi.volume"

// gfidOf returns a directory's own.
func gfidOf(dir *safepath.Dir) (string, error) {
	gfid, err := dir.Xattr(gfidXattr)
	if err == nil && !isGFID(gfid) {
		err = fmt.Errorf("directory %s has the gfid %q: %w: is it on a GlusterFS client's mount?", dir.Name(), gfid, ErrInvalid)
	}
	return gfid, err
}

// inodeOf returns the inode number that GlusterFS gives what has a gfid: its last 8 bytes.
func inodeOf(gfid string) uint64 {
	digits := strings.ReplaceAll(gfid, "-", "")
	inode, _ := strconv.ParseUint(digits[len(digits)-16:], 16, 64) // isGFID lets no others through
	return inode
}

// isOwn returns nil if the directory is the volume's, and ErrForeign if not.
func (s *Store) isOwn(dir *safepath.Dir, r Record) error {
	have, err := gfidOf(dir)
	if err != nil {
		return err
	}
	want, err := s.recordedGFID(r)
	if err != nil {
		return err
	}
	if want == "" {
		return s.takeOver(dir, r, have)
	}
	if have != want {
		return fmt.Errorf("directory %s has the gfid %s, volume %s has %s: %w: look who put it there, and move it away",
			dir.Name(), have, r.ID, want, ErrForeign)
	}
	return nil
}

// recordedGFID is "" for a volume of schema 1 that has not been taken over.
func (s *Store) recordedGFID(r Record) (string, error) {
	if r.Schema > 1 {
		return r.GFID, nil
	}
	gfids, err := s.own(gfidsDir)
	if err == nil {
		var gfid string
		if gfid, err = readlink(gfids, r.stamp()); err == nil {
			return gfid, nil
		}
	}
	return "", ignoreNotExist(err)
}

// takeOver writes down the gfid of a directory that carries the mark of a volume of schema 1, and that it holds its
// path. ErrForeign if it does not carry it.
func (s *Store) takeOver(dir *safepath.Dir, r Record, gfid string) error {
	mark, err := dir.Xattr(markXattr)
	if err != nil {
		return err
	}
	if mark != r.stamp() {
		return s.foreign(dir, r.ID, mark)
	}
	err = s.writeDown(r, gfid)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS) {
		klog.Background().Error(err, "A volume of an earlier version is known by its mark alone until it can be written down",
			"glusterVolume", s.volume.String(), "volume", r.ID)
		return nil
	}
	return err
}

func (s *Store) writeDown(r Record, gfid string) error {
	if err := s.makeTop(gfidsDir); err != nil {
		return err
	}
	gfids, err := s.own(gfidsDir)
	if err != nil {
		return err
	}
	paths, err := s.pathHome(pathName(r.Path))
	if err != nil {
		return err
	}
	if err := ignoreExist(paths.Symlink(holder{stamp: r.stamp(), path: r.Path}.String(), pathName(r.Path))); err != nil {
		return err
	}
	return ignoreExist(gfids.Symlink(gfid, r.stamp()))
}

// forgetGFID removes what takeOver has written down, when nothing of the volume is left.
func (s *Store) forgetGFID(r Record) error {
	if r.Schema > 1 {
		return nil
	}
	gfids, err := s.own(gfidsDir)
	if err == nil {
		err = gfids.Unlink(r.stamp())
	}
	return ignoreNotExist(err)
}

func (s *Store) foreign(dir *safepath.Dir, id, holder string) error {
	if holder == "" {
		return fmt.Errorf("directory %s was there before volume %s and is not the driver's: %w: choose another `path` in the StorageClass, or use the directory as it is by a static PersistentVolume", dir.Name(), id, ErrForeign)
	}
	return fmt.Errorf("directory %s belongs to volume %s, not to %s: %w: a `path` that ends in ${pv.name} is never taken twice", dir.Name(), stampedID(holder), id, ErrForeign)
}

// isKnownAs is isOwn, and takes nothing over.
func (s *Store) isKnownAs(dir *safepath.Dir, r Record) (bool, error) {
	have, err := gfidOf(dir)
	if err != nil {
		return false, err
	}
	want, err := s.recordedGFID(r)
	if err != nil || want != "" {
		return have == want, err
	}
	mark, err := dir.Xattr(markXattr)
	return mark == r.stamp(), err
}
