// SPDX-License-Identifier: Apache-2.0

// Package tree walks the tree below a held directory: to remove it, to grant it to a group, and, by the
// visitors of pkg/tree/copies, to copy and to verify it.
//
// A walk goes depth first, with several workers. Of each directory the visitor is told first that it is entered, then
// of its entries that are no directories, then come its subdirectories, and at last, when all below it is done, that
// it is left. Removing acts on entries and on leaving; granting, too, with the top last, as the mark that all is
// done; copying makes directories on entering and sets their times on leaving.
//
// What a walk promises, with the test that would fail otherwise:
//
//   - No link is followed and no mount entered, whatever becomes a link during the walk (TestNoLinkIsFollowed…).
//   - It goes as deep as the tree does, beyond what a path or a process's descriptors reach. Each walk holds at most
//     heldDirectories descriptors, and three for each worker. A directory whose descriptor was let go is reached
//     again from the nearest that is held, one name at a time, and is the same directory by device and inode number,
//     or not used: ErrMoved (TestDeepTreesNeedFewDescriptors, TestADirectoryThatWasMoved…).
//   - Memory is bounded: namesKept bytes of names in all, and about a KiB for each level of depth that a worker is
//     in, however many entries there are in a directory or in the tree (TestAHugeDirectory…).
//   - An error of one entry stops nothing beside it. The first few come back, the others are counted. What says that
//     the file system itself does not answer ends the walk, as the end of its context does (TestErrors…).
//   - A directory that the caller's Own refuses is not entered, and nothing of it changed (TestOwn…).
//   - What is there from the beginning to the end of the walk is visited at least once; more often only if the file
//     system lists it more than once. What comes, goes or is moved meanwhile may be visited or not.
//   - Nothing is kept between two walks: one that was interrupted is begun again, so a visitor must bear to meet what
//     it has done already.
package tree

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// ErrMoved says that a directory was moved or replaced while the walk was below it, so that what is left of it was not
// visited. The walk is to be begun again.
var ErrMoved = errors.New("it was moved or replaced during the walk")

// Visitor does what a walk is for. Its methods are called by several workers at once, those of one directory in the
// order here, and Entry of one directory by several unless Options say otherwise. What they say of a name that is
// gone is no error.
type Visitor interface {
	// Enter comes first; after an error the directory is passed over, in silence if it is fs.SkipDir. dir is valid
	// during the call.
	Enter(d *Directory, dir *safepath.Dir) error
	// Entry is called for what is no directory. An error that is EISDIR says that it is one by now: it is entered then.
	// w is who calls it.
	Entry(w Worker, d *Directory, dir *safepath.Dir, name string) error
	// Leave comes when everything below has been visited or has failed. If again is true the directory is read once
	// more.
	Leave(d *Directory) (again bool, err error)
}

// Own is asked of each directory below the top before it is entered, with its attributes. An error says why the walk
// must not go there, and is one of the walk's errors.
type Own func(dir *safepath.Dir, st unix.Stat_t) error

// Options say how a walk goes.
type Options struct {
	// Task says in the log what is being done, every 10 seconds.
	Task string
	// Workers is how many visits are under way at most.
	Workers int
	// Batch is about how many names of a directory are read at a time: as many as are visited before the kernel forgets
	// what it learnt of each by reading them, which is a second. Else it asks the file system again.
	Batch int
	// InTurn has the entries of one directory visited one after the other, for changes that lock the directory.
	InTurn bool
	// IgnoreMoved is for a visitor that finds out by itself in Leave that something was left: ErrMoved is no error
	// then.
	IgnoreMoved bool
	// Vanished, where set, is called for a directory that was listed and is gone when the walk comes to it.
	Vanished func(d *Directory)
	// Own, where set, keeps the walk to what is the caller's own.
	Own Own
	// Permit is the caller's. There are other workers as long as there are permits that nobody waits for, and each gives
	// way between two entries.
	Permit *permits.Permit
}

// Directory is a directory of a walk.
type Directory struct {
	// Data is the visitor's own.
	Data any

	place

	walk    *walk
	parent  *Directory
	length  int // of the path from the top, in bytes
	passes  int
	failed  atomic.Bool
	pending atomic.Int32 // the worker that goes through it, batches of entries, and subdirectories, that are under way

	// Of the worker that goes through it.
	state  state
	inline bool // after it the same worker goes on with the parent
	subs   []string
	after  string // the greatest name of those that were read at the last time, where cut
	cut    bool   // there are more subdirectories than may be remembered

	mu   sync.Mutex
	late []string // became directories after they were listed
}

// Name is the directory's name in its parent, "" for the top.
func (d *Directory) Name() string { return d.name }

// Parent is nil for the top.
func (d *Directory) Parent() *Directory { return d.parent }

// PathLength is how many bytes the directory's path from the top has.
func (d *Directory) PathLength() int { return d.length }

// Stat is what the directory's attributes were on entering it.
func (d *Directory) Stat() unix.Stat_t { return d.stat }

// Passes is how often the directory was read from its beginning to its end.
func (d *Directory) Passes() int { return d.passes }

// Failed says, in Leave, that there was an error in the directory or below it.
func (d *Directory) Failed() bool { return d.failed.Load() }

// AddBytes counts what was copied or measured, for the report.
func (d *Directory) AddBytes(n int64) { d.walk.progress.bytes.Add(n) }

// Use calls fn with the directory held, reaching it again if its descriptor was let go: ErrMoved if it is not there
// any more.
func (d *Directory) Use(fn func(dir *safepath.Dir) error) error {
	return d.walk.held.withDirectory(&d.place, fn)
}

// Path is the directory's path from the top, "" for the top. It is as long as the tree is deep: for messages only.
func (d *Directory) Path() string {
	var names []string
	for ; d.parent != nil; d = d.parent {
		names = append(names, d.name)
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// Walk walks the tree below top, which stays the caller's, until all is visited or ctx is done. The error is a
// *WalkError, joined with the context's cause.
func Walk(ctx context.Context, top *safepath.Dir, v Visitor, o Options) error {
	return newWalk(ctx, v, o).walk(top)
}
