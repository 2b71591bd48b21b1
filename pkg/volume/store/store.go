// SPDX-License-Identifier: Apache-2.0

// Package store is what the driver keeps on one Gluster volume: its own directory, and what is found, claimed and
// written down in it. It knows where a thing is and whose; what becomes of it is for the packages above.
//
//	gv0/
//	  pvc-…/                                 a volume's data
//	  .glusterfs-csi/                        root only
//	    volumes/<shard>/<id>.json            the record of a volume: without a gfid while it is being made
//	    creating/<shard>/<id>.<created>.…    what was moved aside while a creation is taken back
//	    trash/<shard>/<id>.<deleted>+….json  the record of a volume that was deleted, beside its data in
//	    trash/<shard>/<id>.<deleted>+…/      where … says for how long it is kept, and by whom: see volume.EntryBase
//	    paths/<shard>/<hash of a path>       a link that says which volume holds the path
//	    attributes/<shard>/<id>.<created>.<n> a link that says what was changed of a volume: see attributes.go
//	    snapshots/<shard>/…                  copies of volumes, and in clones/ those that are to become volumes: see pkg
//	    removing/<shard>/…                   copying
//	    reports/<shard>/<node>.<time>        a link that says what a node has to tell of its pods: see reports.go
//	    commit/<n>/<n>                       pkg/commit's
//	    ….making                             a file that says that a directory is just being made: see making.go
//	    gfids/<id>.<created>                 a link to the gfid of a volume that the first version of the driver made
//
// Everything is a file that is made, or renamed, in one step which only one process can take: so whoever takes it owns
// what comes next, and a kill leaves what another can go on with. A path is claimed before anything is made at it
// (paths.go), a directory is known by its gfid (identity.go), what counts of a volume is said by the record and by the
// latest of its attributes, and what was done is on disk once Commit has returned. What is half done is left to who
// began it until this process has seen it for a while (memory.go). A record to which a server that lost its power has
// brought back an earlier name gets one again (secondname.go).
//
// What a package adds for another kind of thing is a directory of its own (EnsureShard, Files) and what is in it.
package store

import (
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

const stepCommitted = "on disk"

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

// For how long what is half done is left alone.
const (
	// recent is longer than an operation lasts, and longer than two hosts may disagree on what is
	// there: the kernel and the client each trust for a second what they know. What has been seen for less than
	// that time is left to who began it.
	recent = 10 * time.Second
	// Abandoned is longer than any operation lasts that still runs.
	Abandoned = time.Hour
	// earliest is for how long a deleted volume is restorable however little space there is.
	earliest = time.Hour
)

// Store is what the driver keeps on one Gluster volume, seen through one client. Its methods
// block as long as GlusterFS does. Two calls on the same volume must not run at the
// same time in one process; in two processes they may, and end as one of them would.
type Store struct {
	Volume gluster.Volume
	Root   *safepath.Dir   // of the Gluster volume
	Memory *Memory         // of this process
	Permit *permits.Permit // of the operation; nil where nobody counts

	dirs *ownDirs

	// Step is called as a named point of an operation is passed, by several goroutines at once.
	Step func(point string)
	// Recent and Abandoned are for how long this process must have seen what is half done before a repetition takes it
	// up, and everybody does.
	Recent, Abandoned time.Duration
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
func New(v *View, memory *Memory, permit *permits.Permit) *Store {
	return &Store{
		Volume: v.volume, Root: v.root, dirs: &v.dirs, Memory: memory, Permit: permit, Step: func(string) {},
		Recent: recent, Abandoned: Abandoned, Earliest: earliest, IsClockRight: isClockRight,
		Retention: volume.Unsaid,
	}
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
		s.refresh(path)
		err = try()
	}
	if err != nil && volume.IgnoreNotExist(err) == nil {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	return err
}

// refresh goes as far as there are directories. What is wrong shows when they are used.
func (s *Store) refresh(path string) {
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

// Commit returns when what was done is on the disks of all bricks that are up.
func (s *Store) Commit() error {
	err := s.Memory.freed.force(func() error { return s.Memory.commit(s.Root) })
	s.Step(stepCommitted)
	return err
}

// Explain adds the kind and the cure to an error that GlusterFS gave.
func (s *Store) Explain(err error) error { return volume.Explain(s.Volume, err) }
