// SPDX-License-Identifier: Apache-2.0

// Package splitbrain is about files of a volume that its bricks disagree on: each side of a cut cable has changed
// them alone, and GlusterFS answers EIO until somebody says which copy counts. Find lists them with what each side
// has; Settle has one copy count, after the other was kept beside it, so nothing is lost.
//
// The order is such that a kill between any two steps leaves what a repetition goes on with
// (TestSettlingThatIsKilledAtAnyStepIsRepeated): the other copy is written aside, in the driver's own directory, and
// synced; it gets its name beside the file by a link, which is one step and replaces nothing; that is forced to disk;
// and only then GlusterFS is told. Its name is made of the time at which it was changed last, so a repetition knows
// it again, and takes it for what it is only if it has the same bytes.
//
// What a side has is read by a client that has the bricks of that side alone, and is read-only; which client may
// settle touches nothing but the file that is settled, and what leads to it. No link is followed, and no other volume
// entered.
package splitbrain

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Brick is one of a replica set.
type Brick struct {
	Translator string // of the clients, gv0-client-0
	Address    string // HOST:PATH, as `gluster volume info` has it
}

// Set is a replica set.
type Set struct {
	Translator string // gv0-replicate-0
	Bricks     []Brick
}

// Clients open roots of a Gluster volume by the clients that it takes; release is to be called once.
type Clients struct {
	// Settling is by one of gluster.SettlingOptions.
	Settling func(by gluster.Choice) (root *safepath.Dir, release func(), err error)
	// Side is by one that has of each replica set the i-th brick alone.
	Side func(i int) (root *safepath.Dir, release func(), err error)
	Sets []Set
}

// Kind is what the bricks disagree on.
type Kind string

// The kinds.
const (
	Data      Kind = "data"
	Metadata  Kind = "metadata" // owner, mode, times, extended attributes
	Both      Kind = "data, metadata"
	Name      Kind = "name"      // each side has given the name to a file of its own
	Directory Kind = "directory" // each side has made a directory of that name, or changed its owner or mode
)

// File is one that the bricks disagree on.
type File struct {
	Path   string // below the volume's directory
	Kind   Kind
	Copies []Copy
	Why    string // it cannot be settled here; "" if it can
}

// Copy is what one brick has.
type Copy struct {
	Brick Brick
	Stat  unix.Stat_t
	Err   error // why it cannot be read

	side int
	gfid string
}

// Changed is when it was changed last, by the clock of who did.
func (c Copy) Changed() time.Time { return time.Unix(c.Stat.Mtim.Unix()) }

// Volume is the tree of one volume, seen by all bricks and by each side. Close it once.
type Volume struct {
	store   *store.Store
	record  volume.Record
	clients Clients

	all      *safepath.Dir   // by the controller's own client
	asked    *safepath.Dir   // by a client that is asked what is in split-brain
	sides    []*safepath.Dir // nil where that side has none, or another
	releases []func()
}

// ErrNoReplicas is that the Gluster volume has no replica set, so there is nothing to disagree.
var ErrNoReplicas = errors.New("it has no replica sets")

// Open opens a volume. Its errors are those of Store.Get and CheckIdentity, and ErrNoReplicas.
func Open(s *store.Store, r volume.Record, clients Clients) (_ *Volume, err error) {
	sides := 0
	for _, set := range clients.Sets {
		sides = max(sides, len(set.Bricks))
	}
	if sides < 2 {
		return nil, fmt.Errorf("%s: %w", s.Volume, ErrNoReplicas)
	}
	v := &Volume{store: s, record: r, clients: clients}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	if v.all, err = v.open(s.Root, r.Path); err != nil {
		return nil, err
	}
	root, release, err := clients.Settling(gluster.ByNobody)
	if err != nil {
		return nil, err
	}
	v.releases = append(v.releases, release)
	if v.asked, err = v.open(root, r.Path); err != nil {
		return nil, err
	}
	for i := range sides {
		root, release, err := clients.Side(i)
		if err != nil {
			return nil, fmt.Errorf("see what one side has of %s: %w", s.Volume, err)
		}
		v.releases = append(v.releases, release)
		top, err := v.open(root, r.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, volume.ErrForeign) {
			return nil, err
		}
		v.sides = append(v.sides, top)
	}
	return v, nil
}

// open opens the volume's directory by one of the clients.
func (v *Volume) open(root *safepath.Dir, rel string) (*safepath.Dir, error) {
	dir, err := root.Open(rel)
	if err != nil {
		return nil, volume.NotADirectory(err)
	}
	if err := v.store.CheckIdentity(dir, v.record); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// Close lets go of what is open, and of the clients.
func (v *Volume) Close() {
	for _, dir := range append(v.sides, v.all, v.asked) {
		if dir != nil {
			dir.Close()
		}
	}
	for _, release := range v.releases {
		release()
	}
}

// parent opens the directory that has what is at a path below a top, one name at a time. Whose names they are is not
// known: any byte may be in them.
func parent(top *safepath.Dir, rel string) (*safepath.Dir, string, error) {
	return walk(top, rel, func(*safepath.Dir) error { return nil })
}

// walk is parent that enters only what may is nil for.
func walk(top *safepath.Dir, rel string, may func(*safepath.Dir) error) (*safepath.Dir, string, error) {
	at, err := top.Open(".")
	if err != nil {
		return nil, "", err
	}
	names := strings.Split(rel, "/")
	for _, name := range names[:len(names)-1] {
		next, err := at.Subdirectory(name)
		at.Close()
		if err != nil {
			return nil, "", err
		}
		at = next
		if err := may(at); err != nil {
			at.Close()
			return nil, "", err
		}
	}
	return at, path.Base(rel), nil
}
