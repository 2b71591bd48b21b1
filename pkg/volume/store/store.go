// SPDX-License-Identifier: Apache-2.0

// Package store is what the driver keeps on one Gluster volume: what is found, claimed and written down in its own
// directory (pkg owndir, which knows nothing of what its files say). It knows where a thing is and whose; what becomes
// of it is for the packages above.
//
//	gv0/
//	  pvc-…/                                 a volume's data
//	  .glusterfs-csi/                        root only
//	    volumes/<shard>/<id>.json            the record of a volume: without a gfid while it is being made
//	    creating/<shard>/<id>.<created>.…    what was moved aside while a creation is taken back
//	    trash/<shard>/<id>.<deleted>+….json  the record of a volume that was deleted, beside its data in
//	    trash/<shard>/<id>.<deleted>+…/      where … says for how long it is kept, and by whom: see volume.EntryBase
//	    paths/<shard>/<hash of a path>       a link that says which volume holds the path: see pathclaims.go
//	    attributes/<shard>/<id>.<created>.<n> a link that says what was changed of a volume: see attributes.go
//	    snapshots/<shard>/…                  copies of volumes, and in clones/ those that are to become volumes: see pkg
//	    removing/<shard>/…                   copying
//	    reports/<shard>/<node>.<time>        a link that says what a node has to tell of its pods: see nodereports.go
//	    split-brain/<shard>/<gfid>.…         pkg splitbrain's
//	    kubernetes/<shard>/<ID>.<n>          a file whose time a Kubernetes cluster's controller changes: see kubernetesleases.go
//	    commit/<n>/<n>                       pkg/commit's
//	    ….making                             a file that says that a directory is just being made: pkg owndir's
//	    gfids/<id>.<created>                 a link to the gfid of a volume that the first version of the driver made
//
// Everything is a file that is made, or renamed, in one step which only one process can take: so whoever takes it owns
// what comes next, and a kill leaves what another can go on with. A path is claimed before anything is made at it
// (pathclaims.go), a directory is known by its gfid (identity.go), what counts of a volume is said by the record and by the
// latest of its attributes. A record to which a server that lost its power has brought back an earlier name gets one
// again (secondnames.go).
//
// What a package adds for another kind of thing is a directory of its own (EnsureShard, Files) and what is in it.
package store

import (
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ages"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// The suffixes of the driver's own files, which say how far something has come.
const (
	RecordSuffix  = ".json"
	RevokedSuffix = ".revoked"
	UndoSuffix    = ".undo"
	DirSuffix     = ".dir"
	AsideSuffix   = ".aside."
	DoomedSuffix  = ".doomed"
	BackSuffix    = ".back"
	HeldSuffix    = ".held"
)

const maxRecord = 64 << 10 // bytes

// earliest is for how long a deleted volume is restorable however little space there is.
const earliest = time.Hour

// Store is what the driver keeps on one Gluster volume, seen through one client. Its methods
// block as long as GlusterFS does. Two calls on the same volume must not run at the
// same time in one process; in two processes they may, and end as one of them would.
type Store struct {
	owndir.Directory

	Memory *Memory // of this process

	// Earliest is how long after its deletion something may go for space.
	Earliest time.Duration
	// Kubernetes is the ID of the Kubernetes cluster that this process works for; "" where it knows none. Retention is
	// for how long what it deletes is kept: volume.Unsaid where each reaper goes by its own.
	Kubernetes string
	Retention  time.Duration
	// IsClockRight says whether the kernel believes that its clock is right.
	IsClockRight func() bool
}

// New is the store of a view, for an operation that has the permit, of a process that remembers the Gluster volume.
func New(v *owndir.View, memory *Memory, permit *permits.Permit) *Store {
	return &Store{
		Directory: owndir.New(v, memory.own, permit), Memory: memory, Earliest: earliest, IsClockRight: isClockRight,
		Retention: volume.Unsaid,
	}
}

// Both is permits.Both: each of the two gets a store with the permit that it has.
func (s *Store) Both(one, other func(*Store) error) error {
	with := func(do func(*Store) error) func(*permits.Permit) error {
		return func(permit *permits.Permit) error {
			theirs := *s
			theirs.Permit = permit
			return do(&theirs)
		}
	}
	return permits.Both(s.Permit, with(one), with(other))
}

// OpenParent opens the directory that holds path and returns it with path's last name.
func (s *Store) OpenParent(p string) (*safepath.Dir, string, error) {
	parent, err := s.Root.Open(path.Dir(p))
	return parent, path.Base(p), err
}

// RetryRefreshed repeats what failed because something on the way to path is gone, after having the kernel
// look at the way again: FUSE trusts a name for a second, and another host may have replaced
// what it names. ErrBusy beside the error if it is gone each time.
func (s *Store) RetryRefreshed(path string, try func() error) error {
	const attempts = 3
	err := try()
	for range attempts {
		if err == nil || volume.IgnoreNotExist(err) != nil {
			return err
		}
		s.Refresh(path)
		err = try()
	}
	if err != nil && volume.IgnoreNotExist(err) == nil {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	return err
}

// Refresh has the names of a path asked for again, whatever the kernel knows of them, as far as there are directories. What is wrong shows
// when they are used.
func (s *Store) Refresh(path string) {
	at, err := s.Root.Open(".")
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

// Capacity returns the bytes that are free on the Gluster volume and its size. Where no inode is left, nothing is free.
func (s *Store) Capacity() (available, total int64, err error) {
	st, err := s.Root.Statfs()
	if err != nil {
		return 0, 0, s.Explain(err)
	}
	if countsInodes(st) && st.Ffree == 0 {
		st.Bavail = 0
	}
	return int64(st.Bavail) * st.Frsize, int64(st.Blocks) * st.Frsize, nil
}

// FreePart returns which part of the Gluster volume is free: of its bytes, or of its inodes where that is less.
func (s *Store) FreePart() (float64, error) {
	st, err := s.Root.Statfs()
	if err != nil {
		return 0, s.Explain(err)
	}
	free := 1.0
	if st.Blocks > 0 {
		free = float64(st.Bavail) / float64(st.Blocks)
	}
	if countsInodes(st) {
		free = min(free, float64(st.Ffree)/float64(st.Files))
	}
	return free, nil
}

// countsInodes is false of bricks whose file system makes inodes as it needs them and says that it has none (btrfs).
func countsInodes(st unix.Statfs_t) bool { return st.Files > 0 }

// Memory is what a process remembers of one Gluster volume from one operation to the next: since when it knows of what
// is half done. It may be used by many at once.
type Memory struct {
	Creations, Trash, Paths, Claimless, StraySnapshots, StrayClones, GivenUp, attributes, asides, reports ages.Sightings

	// Leases are those of copies, by the copy's stamp; Asked is when somebody asked for a clone last; Kubernetes are the
	// leases of Kubernetes clusters, by their IDs; Splits is what pkg splitbrain writes aside.
	Leases, Asked, Kubernetes, Splits ages.Unchanged

	own *owndir.Memory
}

// NewMemory is that of a process that knows nothing. What was done is put on the disks of all bricks by commit, which
// gets the root of a client's mount and blocks as long as GlusterFS does.
func NewMemory(commit func(mount *safepath.Dir) error) *Memory {
	return &Memory{own: owndir.NewMemory(commit)}
}

// MayGoOn says of what was begun at the time in a stamp, and has not changed since, whether who began it may still be
// at it: not once this process has seen it for a while, or that is long ago by a clock that is right.
func (s *Store) MayGoOn(of *ages.Sightings, stamp string) bool {
	_, begun, isStamped := volume.ParseStamp(stamp)
	isOld := isStamped && volume.Now().Sub(begun) > s.Abandoned && s.IsClockRight()
	return of.Age(stamp) < s.Recent && !isOld
}

// isClockRight says whether the kernel believes that its clock is (adjtimex(2), STA_UNSYNC).
func isClockRight() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
