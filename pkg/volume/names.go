// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
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

// isDeletedAlone returns nil if the data of a trash entry is no volume's that is there, and in the trash on every
// brick.
func (s *Store) isDeletedAlone(data *safepath.Dir, e TrashEntry) error {
	gfid, err := gfidOf(data)
	if err != nil {
		return err
	}
	id, err := s.volumeWith(gfid, e.Record)
	if err != nil {
		return err
	}
	if id != "" {
		// A brick that was away when it was deleted, or restored, tells of the time before until it has healed.
		return fmt.Errorf("trash entry %s on %s is the directory of volume %s, which is there: %w; if a brick has just come back, wait until nothing is left to heal (`gluster volume heal %s info`); see `glusterfs-csi volume check`",
			e.Name, s.volume, id, ErrForeign, s.volume.Name)
	}
	at, err := s.placeOfFile(file{e.dir, e.Name})
	if err != nil {
		return err
	}
	return s.hasOneName(data, at)
}

// settleRestored looks whether there is anything to restore: a volume that is there already, in its place, needs nothing
// but that its trash entry is forgotten, and what has two names is left alone.
func (s *Store) settleRestored(e TrashEntry) (done bool, err error) {
	if e.suffix == doomedSuffix {
		return false, nil
	}
	restored, err := s.settle(e)
	if err != nil {
		return false, err
	}
	if restored {
		err := s.isThere(e.Record)
		if err == nil {
			return true, ignoreNotExist(e.dir.Unlink(e.Name + e.suffix))
		}
		if ignoreNotExist(err) != nil && !errors.Is(err, ErrForeign) {
			return false, err
		}
	}
	data, err := e.dir.Open(e.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer data.Close()
	at, err := s.placeOfFile(file{e.dir, e.Name})
	if err == nil {
		err = s.hasOneName(data, at)
	}
	return false, err
}

// liveFor is for how long the list of the gfids of all volumes counts. A directory that is taken out of the trash and
// becomes another volume's meanwhile is not in the trash any more, on one brick at least, and the bricks say so.
const liveFor = time.Hour

// live are the IDs of the volumes that are there by their gfids, as of a moment ago.
type live struct {
	mu   sync.Mutex
	read time.Time
	ids  map[string][]string
}

// volumeWith returns the ID of a volume that is there and has the directory with this gfid: the one of a deleted
// record, or any other; "" if none has.
func (s *Store) volumeWith(gfid string, deleted Record) (string, error) {
	if ready, err := s.isReady(deleted); ready || err != nil {
		return deleted.ID, err
	}
	ids, err := s.liveIDs(gfid)
	if err != nil {
		return "", err
	}
	for _, id := range append(ids, deleted.ID) {
		r, err := s.Get(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if have, err := s.recordedGFID(r); err != nil || have == gfid {
			return id, err
		}
	}
	return "", nil
}

// liveIDs reads the records of all volumes at most once in liveFor. Those that cannot be read are left out.
func (s *Store) liveIDs(gfid string) ([]string, error) {
	l := &s.sightings.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.read.IsZero() || time.Since(l.read) > liveFor {
		began, ids := time.Now(), map[string][]string{}
		for after := ""; ; {
			page, err := s.List(after, maxLivePage)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				have, err := s.recordedGFID(r)
				if err != nil {
					return nil, err
				}
				ids[have] = append(ids[have], r.ID)
			}
			if after = page.Next; after == "" {
				break
			}
		}
		l.read, l.ids = began, ids
	}
	return l.ids[gfid], nil
}

// maxLivePage is how many records liveIDs reads at a time.
const maxLivePage = 1000
