// SPDX-License-Identifier: Apache-2.0

// Package volume keeps volumes on a Gluster volume: one directory each, with a
// record that remembers it and says by which gfid GlusterFS knows it.
//
//	gv0/
//	  pvc-…/                                 a volume's data
//	  .glusterfs-csi/                        root only
//	    volumes/<shard>/<id>.json            the record of a volume: without a gfid while it is being made
//	    creating/<shard>/<id>.<created>.…    what was moved aside while a creation is taken back
//	    trash/<shard>/<id>.<deleted>.json    the record of a volume that was deleted, beside its data in
//	    trash/<shard>/<id>.<deleted>/
//	    paths/<shard>/<hash of a path>       a link that says which volume holds the path
//	    attributes/<shard>/<id>.<created>.<n> a link that says what was changed of a volume: see attributes.go
//	    commit/<n>/<n>                       pkg/commit's
//	    gfids/<id>.<created>                 a link to the gfid of a volume that the first version of the driver made
//
// A record is made before anything else of a volume, and completed last: with the gfid of the directory the volume is
// there for everybody. From then on its file is never changed, and how far the volume has come is said by the place of
// its record. It is renamed from place to place, in one step that only one process can take, so whoever takes it owns
// what comes next:
//
//	volumes/….json → creating/….revoked  being taken back: it goes back if it became complete meanwhile
//	volumes/….json → trash/….json        deleted: the data follows
//	trash/….json   → trash/….doomed      being removed for good
//	trash/….json   → trash/….back        being restored: when the data is back, a new record is made
//	trash/….json   → trash/….held        kept until it is released (→ trash/….json) or restored
//
// What is acknowledged is on the disks of all bricks that are up (pkg/commit). A server that forgets what it had not
// written brings names back; which of two records counts is said by their generation (generation.go).
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
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	recordSuffix  = ".json"
	revokedSuffix = ".revoked"
	undoSuffix    = ".undo"
	dirSuffix     = ".dir"
	asideSuffix   = ".aside."
	doomedSuffix  = ".doomed"
	backSuffix    = ".back"
	heldSuffix    = ".held"

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

	dirs *ownDirs

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

	headroom int64 // of limits, in bytes
	// privileged opens the root by the client that sets limits; release is to be called once.
	privileged func() (root *safepath.Dir, release func(), err error)
}

// Open returns the store behind a client's mount point, without asking GlusterFS
// anything. The store keeps the mount alive until it is closed.
func Open(v gluster.Volume, mountpoint string) (*Store, error) {
	root, err := safepath.OpenRoot(mountpoint)
	if err != nil {
		return nil, explain(v, err)
	}
	return newStore(v, &view{root: root.Called(v.String()), dirs: &ownDirs{}}, newSightings()), nil
}

// newStore is the store of a view, for a process that has seen what it remembers of the Gluster volume.
func newStore(v gluster.Volume, of *view, before *sightings) *Store {
	return &Store{
		volume: v, root: of.root, dirs: of.dirs, step: func(string) {},
		recent: recent, abandoned: abandoned, earliest: earliest, sightings: before, isClockRight: isClockRight, slice: slice,
		headroom: quota.DefaultHeadroom,
		privileged: func() (*safepath.Dir, func(), error) {
			return nil, nil, fmt.Errorf("%s: %w: there is no client here that sets limits", v, ErrInvalid)
		},
	}
}

// Close releases what a store holds that was opened by Open.
func (s *Store) Close() {
	s.dirs.close()
	s.root.Close()
	s.sightings.committer.Close()
}

// state is how far a volume has come, as the file of its record says.
type state int

const (
	absent state = iota
	begun        // a creation that has not come to its end
	ready
)

// found is what there is of a volume's record.
type found struct {
	state state
	// record is whole if it is ready. What has begun may not have been written yet: then it has the ID alone.
	record Record
	dir    *safepath.Dir // has the file
}

// look finds the record of a volume.
func (s *Store) look(id string) (found, error) {
	homes, err := s.homes(volumesDir, id)
	for _, dir := range homes {
		if err != nil {
			break
		}
		var f found
		if f, err = s.lookIn(dir, id+recordSuffix); err == nil && f.state != absent && f.record.ID != id {
			err = fmt.Errorf("the record of %s on %s names %s: %w", id, s.volume, f.record.ID, ErrCorrupt)
		}
		if err == nil && f.state != absent {
			return f, nil
		}
	}
	return found{}, s.explain(err)
}

// lookIn reads the file of a record. It was written twice, and got the gfid the second time, so a host that has read it
// before may still have the old bytes in its cache.
func (s *Store) lookIn(dir *safepath.Dir, name string) (found, error) {
	r, err := readRecord(dir, name)
	if err == nil && r.GFID == noGFID || errors.Is(err, errUnwritten) {
		r, err = readRecordOnce(dir, name, unix.O_DIRECT) // not from the kernel's cache
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found{}, nil
	case errors.Is(err, errUnwritten):
		return found{state: begun, record: Record{ID: strings.TrimSuffix(name, recordSuffix)}, dir: dir}, nil
	case err != nil:
		return found{}, err
	case r.GFID == noGFID:
		return found{begun, r, dir}, nil
	}
	return found{ready, r, dir}, nil
}

// Get returns the record of a volume that is ready, with what was changed since, or ErrNotFound.
func (s *Store) Get(id string) (Record, error) {
	r, err := s.get(id)
	if err != nil {
		return r, err
	}
	return s.current(r)
}

// get is Get without what was changed.
func (s *Store) get(id string) (Record, error) {
	f, err := s.look(id)
	if err == nil && f.state != ready {
		err = fmt.Errorf("volume %s on %s: %w", id, s.volume, ErrNotFound)
	}
	return f.record, err
}

// errUnwritten says that nothing was written into a record yet, or that the power went before it was on disk.
var errUnwritten = fmt.Errorf("it is empty: %w", ErrCorrupt)

// readRecord reads a record as it is now, even if another host has just replaced it.
func readRecord(dir *safepath.Dir, name string) (Record, error) {
	return reread(dir, name, func() (Record, error) { return readRecordOnce(dir, name, 0) })
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
	if len(bytes.Trim(data[:n], "\x00")) == 0 {
		return Record{}, fmt.Errorf("%s: %w", f.Name(), errUnwritten)
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

// mountOf returns the root of the client's mount, which a store's is but in tests.
var mountOf = func(root *safepath.Dir) (*safepath.Dir, error) { return root.Open(".") }

// commit returns when what was done is on the disks of all bricks that are up.
func (s *Store) commit() error {
	mount, err := mountOf(s.root)
	if err != nil {
		return err
	}
	defer mount.Close()
	err = s.sightings.commit(mount)
	s.step(stepCommitted)
	return err
}
