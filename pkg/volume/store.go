// SPDX-License-Identifier: Apache-2.0

// Package volume keeps volumes on a Gluster volume: one directory each, with a
// record that remembers it and says by which gfid GlusterFS knows it.
//
//	gv0/
//	  pvc-…/                          a volume's data
//	  .glusterfs-csi/                 root only
//	    creating/<id>.<created>.json  the record of a volume that is being made
//	    volumes/<id>.json             … that is ready
//	    trash/<id>.<deleted>.json     … that was deleted, beside its data in
//	    trash/<id>.<deleted>/
//	    paths/<hash of a path>        a link that says which volume holds the path
//	    gfids/<id>.<created>          a link to the gfid of a volume that the first version of the driver made
//
// A ready volume's record is never changed: how far a volume has come is said by the place
// of its record alone. It is linked or renamed from place to place, in one step that only one
// process can take, so whoever takes it owns what comes next:
//
//	creating/….json → volumes/….json    ready: the path was claimed, the directory made and owned before
//	creating/….json → creating/….undo   being taken back: it cannot become ready any more
//	volumes/….json  → trash/….json      deleted: the data follows
//	trash/….json    → trash/….doomed    being removed for good
//	trash/….json    → trash/….back      being restored; → volumes/….json when the data is back
//	trash/….json    → trash/….held      kept until it is released (→ trash/….json) or restored
//
// A path is claimed before anything is made at it, and given up when nothing is left there. What is to go from a path
// is moved to a name of the driver's own first, looked at then, and put back if it is another's: a path may change
// between a look and an act.
//
// What a kill leaves half done has a record in one of these places, and is finished by the
// repetition of the call, or by Reconcile. Renaming and removing need no free space (GlusterFS
// refuses everything else on a full volume), so deleting always works.
//
// A Store does the work and blocks as long as GlusterFS does; a Manager gives it
// deadlines, one operation at a time per volume, and the right client.
package volume

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	ownDir      = ".glusterfs-csi"
	creatingDir = "creating"
	volumesDir  = "volumes"
	trashDir    = "trash"
	pathsDir    = "paths"
	gfidsDir    = "gfids"

	recordSuffix = ".json"
	undoSuffix   = ".undo"
	dirSuffix    = ".dir"
	asideSuffix  = ".aside."
	doomedSuffix = ".doomed"
	backSuffix   = ".back"
	heldSuffix   = ".held"

	maxRecord = 64 << 10 // bytes

	// recent is longer than an operation lasts, and longer than two hosts may disagree on what is
	// there: the kernel and the client each trust for a second what they know. What has been seen for less than
	// that time is left to who began it.
	recent = 10 * time.Second
	// abandoned is longer than any operation lasts that still runs.
	abandoned = time.Hour
	// earliest is for how long a deleted volume is restorable however little space there is.
	earliest = time.Hour
)

// Store is the volumes of one Gluster volume, seen through one client. Its methods
// block as long as GlusterFS does. Two calls on the same volume must not run at the
// same time in one process; in two processes they may, and end as one of them would.
type Store struct {
	volume gluster.Volume
	root   *safepath.Dir

	opening sync.Mutex               // guards own: some operations read side by side
	own     map[string]*safepath.Dir // by name below ownDir, opened when needed

	// step is called as a named point of an operation is passed; tests kill the
	// process there.
	step func(point string)
	// recent and abandoned are for how long this process must have seen what is half done before a repetition takes it
	// up, and everybody does.
	recent, abandoned time.Duration
	// earliest is how long after its deletion something may go for space.
	earliest     time.Duration
	sightings    *sightings
	isClockRight func() bool
	permit       *permits.Permit // of the operation; nil where nobody counts
	// slice is how many files of a trash entry are removed in a round.
	slice int64
}

// Open returns the store behind a client's mount point, without asking GlusterFS
// anything. The store keeps the mount alive until it is closed.
func Open(v gluster.Volume, mountpoint string) (*Store, error) {
	return openSeen(v, mountpoint, &sightings{})
}

// openSeen is Open for a process that has seen the Gluster volume before.
func openSeen(v gluster.Volume, mountpoint string, before *sightings) (*Store, error) {
	root, err := safepath.OpenRoot(mountpoint)
	if err != nil {
		return nil, explain(v, err)
	}
	return &Store{
		volume: v, root: root.Called(v.String()), own: map[string]*safepath.Dir{}, step: func(string) {},
		recent: recent, abandoned: abandoned, earliest: earliest, sightings: before, isClockRight: isClockRight, slice: slice,
	}, nil
}

// Close releases what the store holds.
func (s *Store) Close() {
	for _, dir := range s.own {
		dir.Close()
	}
	s.root.Close()
}

// dir returns one of the driver's own directories; fs.ErrNotExist where nothing was
// ever stored.
func (s *Store) dir(name string) (*safepath.Dir, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if dir := s.own[name]; dir != nil {
		return dir, nil
	}
	own, err := s.root.Open(ownDir)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	// Whoever may write here decides what the driver deletes.
	st, err := own.Stat()
	if err != nil {
		return nil, err
	}
	if st.Uid != 0 || st.Mode&0o077 != 0 {
		return nil, fmt.Errorf("%s on %s belongs to uid %d with mode %04o: %w: it must be root's alone (chown 0:0, chmod 0700) once you know who made it",
			ownDir, s.volume, st.Uid, st.Mode&0o7777, ErrForeign)
	}
	dir, err := own.Open(name)
	if err != nil {
		return nil, err
	}
	s.own[name] = dir
	return dir, nil
}

// makeDir is dir, after making what is missing. All are made together, so that the trash is
// there when the Gluster volume is full.
func (s *Store) makeDir(name string) (*safepath.Dir, error) {
	dir, err := s.dir(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := s.root.Mkdir(ownDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	var own *safepath.Dir
	err = s.afresh(ownDir, func() error { // another host may be making it
		own, err = s.root.Open(ownDir)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer own.Close()
	for _, each := range []string{trashDir, creatingDir, pathsDir, gfidsDir, volumesDir} {
		if err := own.Mkdir(each, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return s.dir(name)
}

// Get returns the record of a volume that is ready, or ErrNotFound. The gfid may be missing for a moment: see
// readComplete.
func (s *Store) Get(id string) (Record, error) { return s.get(id, readRecord) }

// getComplete is Get for those who look at the directory: ErrBusy as long as the gfid is missing.
func (s *Store) getComplete(id string) (Record, error) { return s.get(id, s.readComplete) }

func (s *Store) get(id string, read func(*safepath.Dir, string) (Record, error)) (Record, error) {
	dir, err := s.dir(volumesDir)
	if err == nil {
		var r Record
		if r, err = read(dir, id+recordSuffix); err == nil && r.ID != id {
			err = fmt.Errorf("the record of %s on %s names %s: %w", id, s.volume, r.ID, ErrCorrupt)
		}
		if err == nil {
			return r, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, fmt.Errorf("volume %s on %s: %w", id, s.volume, ErrNotFound)
	}
	return Record{}, s.explain(err)
}

// readRecord reads a record as it is now, even if another host has just replaced it.
func readRecord(dir *safepath.Dir, name string) (Record, error) {
	return reread(dir, name, func() (Record, error) { return readRecordOnce(dir, name, 0) })
}

// readComplete reads the record of a volume that is, or was, ready. Its file was a claim before, and got the gfid by
// being written to: a host that has read the claim may still have the old bytes in its cache. ErrBusy if they are in
// GlusterFS's client as well, which keeps them for a second.
func (s *Store) readComplete(dir *safepath.Dir, name string) (Record, error) {
	r, err := readRecord(dir, name)
	if err == nil && r.GFID == noGFID {
		r, err = readRecordOnce(dir, name, unix.O_DIRECT) // not from the kernel's cache
	}
	if err == nil && r.GFID == noGFID {
		err = fmt.Errorf("volume %s on %s was made by another controller a moment ago, and is not seen whole yet: %w", r.ID, s.volume, ErrBusy)
	}
	return r, err
}

func readRecordOnce(dir *safepath.Dir, name string, flags int) (Record, error) {
	f, err := dir.OpenFile(name, unix.O_RDONLY|flags, 0)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	data := make([]byte, maxRecord) // one read: what is in it is of one moment
	n, err := f.Read(data)
	if err != nil && !errors.Is(err, io.EOF) {
		return Record{}, err
	}
	r, err := ParseRecord(data[:n])
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return r, nil
}

// split opens the directory that holds path and returns it with path's last name.
func (s *Store) split(p string) (*safepath.Dir, string, error) {
	parent, err := s.root.Open(path.Dir(p))
	return parent, path.Base(p), err
}

// afresh repeats what failed because something on the way to path is gone, after having the kernel
// look at the way again: FUSE trusts a name for a second, and another host may have replaced
// what it names. ErrBusy beside the error if it is gone each time.
func (s *Store) afresh(path string, try func() error) error {
	const attempts = 3
	err := try()
	for range attempts {
		if err == nil || ignoreNotExist(err) != nil {
			return err
		}
		s.refresh(path)
		err = try()
	}
	if err != nil && ignoreNotExist(err) == nil {
		err = fmt.Errorf("%w: %w", err, ErrBusy)
	}
	return err
}

// refresh goes as far as there are directories. What is wrong shows when they are used.
func (s *Store) refresh(path string) {
	at, err := s.root.Open(".")
	for name := range strings.SplitSeq(path, "/") {
		if err != nil {
			return
		}
		var next *safepath.Dir
		if err = at.Refresh(name); err == nil {
			next, err = at.Open(name)
		}
		at.Close()
		at = next
	}
	if err == nil {
		at.Close()
	}
}

// rename moves a file or directory of the driver's own, to a name that it may just have got from another host: the
// kernel may still know both names then, take them for those of one file, and do nothing. ErrBusy if so.
func rename(from *safepath.Dir, name string, to *safepath.Dir, newname string) error {
	if err := from.Rename(name, to, newname); err != nil {
		return err
	}
	absent, err := missing(from, name)
	if err == nil && !absent {
		err = fmt.Errorf("%s/%s was just renamed by another controller: %w", from.Name(), name, ErrBusy)
	}
	return err
}

// Capacity returns the bytes that are free on the Gluster volume and its size.
func (s *Store) Capacity() (available, total int64, err error) {
	st, err := s.root.Statfs()
	if err != nil {
		return 0, 0, s.explain(err)
	}
	return int64(st.Bavail) * st.Frsize, int64(st.Blocks) * st.Frsize, nil
}
