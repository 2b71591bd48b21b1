// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// A brick that loses its power may forget a rename that the others remember. GlusterFS does not heal that, since all
// had agreed when it was done: the directory has one name on one brick and another on the next, both names answer, and
// what is removed below one of them is removed below both. So whoever removes asks each brick where it has the
// directory, and Check tells of what has two names: TestALiveVolumeThatABrickHasInTheTrashIsLeftAlone.

// stepSeen is the named point between the look at a directory and the question where each brick has it.
const stepSeen = "names: directory seen"

// Place is where a directory is to be.
type Place struct {
	Path   string // from the Gluster volume's root
	Parent string // the gfid of the directory above
}

// PlaceOf is a path as a place. Nothing need be there.
func (s *Store) PlaceOf(p string) (Place, error) {
	parent, _, err := s.OpenParent(p)
	if err != nil {
		return Place{}, err
	}
	defer parent.Close()
	gfid, err := GFIDOf(parent)
	return Place{p, gfid}, err
}

// PlaceOfFile is where something of the driver's own is to be, such as the data of a trash entry.
func (s *Store) PlaceOfFile(f owndir.File) (Place, error) {
	gfid, err := GFIDOf(f.Dir)
	return Place{s.PathOf(f), gfid}, err
}

// BricksOf returns where each brick that is connected has a directory.
func BricksOf(dir *safepath.Dir) ([]gluster.BrickPath, error) {
	value, err := dir.Xattr(gluster.PathInfoXattr)
	return gluster.ParsePathInfo(value), err
}

// A rename that is just under way is on one brick before it is on the next: names that differ are looked at again.
const (
	looks     = 3
	lookAgain = 100 * time.Millisecond
)

// CheckOneName returns an ErrTwoNames if a brick has a directory elsewhere than in its place. Where all have it
// elsewhere, another controller has moved it since it was opened: fs.ErrNotExist, and ErrBusy.
func (s *Store) CheckOneName(dir *safepath.Dir, at Place) error {
	s.Step(stepSeen)
	var all []gluster.BrickPath
	for look := range looks {
		if look > 0 {
			s.Permit.Without(func() { time.Sleep(lookAgain) })
		}
		var err error
		if all, err = BricksOf(dir); err != nil || len(gluster.Elsewhere(all, at.Path, at.Parent)) == 0 {
			return err
		}
		if gluster.IsOnePlace(all) {
			return fmt.Errorf("directory %s on %s was just moved by another controller: %w: %w", at.Path, s.Volume, fs.ErrNotExist, volume.ErrBusy)
		}
	}
	return fmt.Errorf("directory %s on %s: %w: it has %s; nothing is done with it until that is put right: see `glusterfs-csi volume check`",
		at.Path, s.Volume, volume.ErrTwoNames, gluster.NamesOn(all))
}

// CheckInPlaceOnAllBricks is CheckInPlace, and ErrTwoNames if a brick has the volume's directory elsewhere: a rename
// would move it on the other bricks alone, and what GlusterFS makes of that differs.
func (s *Store) CheckInPlaceOnAllBricks(r volume.Record) error {
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		return volume.NotADirectory(err)
	}
	defer dir.Close()
	if err := s.CheckIdentity(dir, r); err != nil {
		return err
	}
	at, err := s.PlaceOf(r.Path)
	if err != nil {
		return err
	}
	return s.CheckOneName(dir, at)
}

// IsFree says whether nothing is at a path.
func (s *Store) IsFree(p string) (bool, error) {
	parent, name, err := s.OpenParent(p)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), volume.IgnoreNotExist(err)
	}
	defer parent.Close()
	return owndir.IsMissing(parent, name)
}

// CheckInPlace returns nil if the volume's directory is in its place: fs.ErrNotExist where there is
// none, ErrForeign where it is another's.
func (s *Store) CheckInPlace(r volume.Record) error {
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		return volume.NotADirectory(err)
	}
	defer dir.Close()
	return s.CheckIdentity(dir, r)
}

// IsReady says whether a volume is there, of just this life of its ID.
func (s *Store) IsReady(r volume.Record) (bool, error) {
	f, err := s.Find(r.ID)
	return f.State == Ready && f.Record.Stamp() == r.Stamp(), err
}

// HasGFID says whether the volume of an ID is there, and has the directory with a gfid.
func (s *Store) HasGFID(id, gfid string) (bool, error) {
	f, err := s.Find(id)
	if err != nil {
		return false, err
	}
	return s.hasGFID(f, gfid)
}

func (s *Store) hasGFID(f Lookup, gfid string) (bool, error) {
	if f.State != Ready {
		return false, nil
	}
	have, err := s.RecordedGFID(f.Record)
	return err == nil && have == gfid, err
}

// HasGFIDOrAside is HasGFID, and sees the record of a volume, too, that another has moved aside, to find that it is
// complete. The volume is looked for twice, since its record may just go aside, or come back.
func (s *Store) HasGFIDOrAside(id, gfid string) (bool, error) {
	if has, err := s.HasGFID(id, gfid); has || err != nil {
		return has, err
	}
	aside, err := s.FilesOf(owndir.CreatingDir, id)
	if err != nil {
		return false, err
	}
	for _, file := range aside {
		stamp, _, isRecord := CutSuffix(file.Name, RecordSuffix, UndoSuffix, RevokedSuffix)
		if !isRecord || volume.IDOfStamp(stamp) != id {
			continue
		}
		f, err := s.FindIn(file.Dir, file.Name)
		if err != nil {
			return false, err
		}
		if has, err := s.hasGFID(f, gfid); has || err != nil {
			return has, err
		}
	}
	return s.HasGFID(id, gfid)
}
