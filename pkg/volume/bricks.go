// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// A brick that loses its power may forget a rename that the others remember. GlusterFS does not heal that, since all
// had agreed when it was done: the directory has one name on one brick and another on the next, both names answer, and
// what is removed below one of them is removed below both. So whoever removes asks each brick where it has the
// directory, and Check tells of what has two names: TestALiveVolumeThatABrickHasInTheTrashIsLeftAlone.

// stepSeen is the named point between the look at a directory and the question where each brick has it.
const stepSeen = "names: directory seen"

// place is where a directory is to be.
type place struct {
	path   string // from the Gluster volume's root
	parent string // the gfid of the directory above
}

// placeOf is a path as a place. Nothing need be there.
func (s *Store) placeOf(p string) (place, error) {
	parent, _, err := s.split(p)
	if err != nil {
		return place{}, err
	}
	defer parent.Close()
	gfid, err := gfidOf(parent)
	return place{p, gfid}, err
}

// placeOfFile is where something of the driver's own is to be, such as the data of a trash entry.
func (s *Store) placeOfFile(f file) (place, error) {
	gfid, err := gfidOf(f.dir)
	return place{s.pathOf(f), gfid}, err
}

// bricksOf returns where each brick that is connected has a directory.
func bricksOf(dir *safepath.Dir) ([]gluster.BrickPath, error) {
	value, err := dir.Xattr(gluster.PathInfoXattr)
	return gluster.ParsePathInfo(value), err
}

// A rename that is just under way is on one brick before it is on the next: names that differ are looked at again.
const (
	looks     = 3
	lookAgain = 100 * time.Millisecond
)

// hasOneName returns an ErrTwoNames if a brick has a directory elsewhere than in its place. Where all have it elsewhere,
// another controller has moved it since it was opened: fs.ErrNotExist, and ErrBusy.
func (s *Store) hasOneName(dir *safepath.Dir, at place) error {
	s.step(stepSeen)
	var all []gluster.BrickPath
	for look := range looks {
		if look > 0 {
			s.permit.Without(func() { time.Sleep(lookAgain) })
		}
		var err error
		if all, err = bricksOf(dir); err != nil || len(gluster.Elsewhere(all, at.path, at.parent)) == 0 {
			return err
		}
		if gluster.IsOnePlace(all) {
			return fmt.Errorf("directory %s on %s was just moved by another controller: %w: %w", at.path, s.volume, fs.ErrNotExist, ErrBusy)
		}
	}
	return fmt.Errorf("directory %s on %s: %w: it has %s; nothing is done with it until that is put right: see `glusterfs-csi volume check`",
		at.path, s.volume, ErrTwoNames, gluster.NamesOn(all))
}

// isThereAlone is isThere, and ErrTwoNames if a brick has the volume's directory elsewhere: a rename would move it on the
// other bricks alone, and what GlusterFS makes of that differs.
func (s *Store) isThereAlone(r Record) error {
	dir, err := s.root.Open(r.Path)
	if err != nil {
		return notADirectory(err)
	}
	defer dir.Close()
	if err := s.isOwn(dir, r); err != nil {
		return err
	}
	at, err := s.placeOf(r.Path)
	if err != nil {
		return err
	}
	return s.hasOneName(dir, at)
}
