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
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	stepCommitted = "on disk"

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

// Store is what the driver keeps on one Gluster volume, seen through one client. Its methods
// block as long as GlusterFS does. Two calls on the same volume must not run at the
// same time in one process; in two processes they may, and end as one of them would.
type Store struct {
	volume gluster.Volume
	root   *safepath.Dir
	dirs   *ownDirs
	memory *Memory
	permit *permits.Permit // of the operation; nil where nobody counts

	// step is called as a named point of an operation is passed, by several goroutines at once.
	step func(point string)
	// recent and abandoned are for how long this process must have seen what is half done before a repetition takes it
	// up, and everybody does.
	recent, abandoned time.Duration
	// earliest is how long after its deletion something may go for space.
	earliest     time.Duration
	isClockRight func() bool

	remembered *trashMemory
	// slice is how many files and directories of one trash entry are removed in a round.
	slice int64
	// privileged opens the root by the client that sets limits; release is to be called once.
	privileged func() (root *safepath.Dir, release func(), err error)
}

// newStore is the store of a view, for an operation that has the permit, of a process that remembers the Gluster volume.
func newStore(v *view, memory *Memory, permit *permits.Permit) *Store {
	return &Store{
		volume: v.volume, root: v.root, dirs: &v.dirs, memory: memory, permit: permit, step: func(string) {},
		recent: recent, abandoned: abandoned, earliest: earliest, isClockRight: isClockRight,
	}
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

// Capacity returns the bytes that are free on the Gluster volume and its size.
func (s *Store) Capacity() (available, total int64, err error) {
	st, err := s.root.Statfs()
	if err != nil {
		return 0, 0, s.explain(err)
	}
	return int64(st.Bavail) * st.Frsize, int64(st.Blocks) * st.Frsize, nil
}

// commit returns when what was done is on the disks of all bricks that are up.
func (s *Store) commit() error {
	err := s.memory.commit(s.root)
	s.step(stepCommitted)
	return err
}

// explain adds the kind and the cure to an error that GlusterFS gave.
func (s *Store) explain(err error) error { return explain(s.volume, err) }
