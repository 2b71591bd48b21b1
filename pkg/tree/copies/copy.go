// SPDX-License-Identifier: Apache-2.0

// Package copies makes a copy of a tree, and verifies it: what snapshots and clones are made of.
//
// A copy has of each entry its kind, content (holes stay holes), owner, mode with setuid, setgid and sticky bit, the
// time of change in nanoseconds, the hard links within the tree, and those extended attributes that belong to the
// data: user.*, POSIX ACLs and file capabilities. Not trusted.*, which is GlusterFS's and the driver's own, nor the
// labels and signatures of the machine in security.* (TestEveryKindOfEntryIsCopied).
//
// It may be interrupted at any moment, by kill -9 or a power cut at the servers, and goes on when it is called again
// with the same directories (TestKilledAtEveryStep…, TestKilledAtRandomMoments). The time of change is set last, after
// the content was synced: a file that has size and time of its source is done. What was written down of it (package
// manifest) says whether owner, mode and attributes are, too; else they are compared. A file larger than
// checkpointSize goes on from its last checkpoint. What the copy has and the source has not, left by an earlier
// attempt, is removed when its directory is entered.
//
// The source may change meanwhile. Size, times of change and of status, and inode are compared before and after each
// file; one that moved is copied again, up to tries times, and then counted, as is what vanishes
// (TestWhatChangesMeanwhileIsCounted). So a copy is of each file as it was at some moment, of another moment for each.
//
// A file that is as it was when a previous copy was made becomes a hard link to that copy's file; its inode, size,
// times of change and of status are what the previous manifest says. So nobody may write to a copy that is the
// previous one of another. What is refused for too many links is copied: GlusterFS says ENOSPC, at
// storage.max-hardlinks (100) names, or when a brick's ext4 has no more room for attributes (at 43 in one case).
//
// Neither tree is left: each directory is opened by one name, without following a link, and each entry is opened once
// and read through its descriptor (TestAPodThatExchangesDirectoriesForLinks). The client that the source is read by
// must ask for attributes each time (gluster.FreshNames), else changes of other clients within the last second are not
// seen, and must have the option acl, else ACLs are not seen.
//
// Memory: the walk's (see package tree), the manifest's, and bufferSize for each worker; of hard links none, which are
// found again by a link in Options.Work (TestMemoryDoesNotGrowWithTheTree). Descriptors: the walk's, twice, and those
// of the previous copy.
package copies

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

const (
	// workers is how many entries are copied at once; a brick serves 16 requests at a time.
	workers   = 16
	listBatch = 64
	// tries is how often a file is copied that changes meanwhile.
	tries = 3
	// roomPeriod is how many bytes are written between two questions whether there is room.
	roomPeriod = 64 << 20
	// roomEntries is how many entries are made between two such questions.
	roomEntries = 1000
)

// Options of a copy.
type Options struct {
	// Work is a directory on the destination's mount, outside of it: for the manifest, and for what the copy needs
	// until it is complete. It is the same in each attempt, and nobody else's.
	Work *safepath.Dir
	// Previous, where set, is a complete copy of the same source on the destination's mount. Nobody writes to it.
	Previous *Previous
	// Hash has the content of each file in the manifest, for Verify.
	Hash bool
	// Own, where set, is asked of each directory of the source: see tree.Own. fs.SkipDir leaves it out in silence.
	Own tree.Own
	// Room, where set, is asked before anything is written, after each 64 MiB and after each 1000 entries, by one
	// worker at a time. Its error ends the copy, to be resumed.
	Room func() error
	// Progress, where set, says how far the copy is.
	Progress *Progress
	// Permit is the caller's: see tree.Options.
	Permit *permits.Permit
}

// Previous is a copy made before, and its Work.
type Previous struct{ Tree, Work *safepath.Dir }

// Result is what a copy has come to, in this attempt.
type Result struct {
	Entries int64 // in the copy, directories too
	Bytes   int64 // of the content of files, without holes; of a file with several names once
	Written int64 // bytes of content written by this attempt
	Linked  int64 // entries that are links to the previous copy
	Found   int64 // entries that an earlier attempt had done

	Changed  Names // files that went on changing: what the copy has of them is of no one moment
	Vanished Names // files and directories that went meanwhile, and of directories what of them was not reached
	Unkept   Names // entries whose attributes or hard links the destination did not take, and why
}

// Copy makes dst a copy of src, or goes on with it. Both stay the caller's. dst is root's alone until the end. After
// an error what was done stays, and the same call goes on; the error is a *tree.WalkError, joined with what ended the
// copy: the context's cause, Room's error, or ENOSPC or EDQUOT. The caller puts the result on disk (package commit)
// before it says that it is there: content is synced by then, names and attributes may not be.
func Copy(ctx context.Context, src, dst *safepath.Dir, o Options) (Result, error) {
	c := &copier{options: o, mirror: tree.NewMirror(), before: tree.NewMirror(), progress: o.Progress}
	if c.progress == nil {
		c.progress = &Progress{}
	}
	c.progress.begin()
	copying, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.ctx, c.cancel = copying, cancel
	if err := c.begin(dst); err != nil {
		return Result{}, err
	}
	defer c.release()
	err := tree.Walk(copying, src, c, tree.Options{
		Task: "copying a tree", Workers: workers, Batch: listBatch, Own: o.Own, Permit: o.Permit,
		IgnoreMoved: true, Vanished: func(d *tree.Directory) { c.vanished(d.Path()) },
	})
	if err == nil {
		err = c.finish(ctx)
	}
	if closed := c.manifest.Close(); err == nil {
		err = closed
	}
	return c.result(), err
}

// copier is one call of Copy.
type copier struct {
	ctx      context.Context //nolint:containedctx // of the one call that it is
	cancel   context.CancelCauseFunc
	options  Options
	progress *Progress

	mirror, before *tree.Mirror // of the destination and of the previous copy
	top            *tree.Mirrored
	previousTop    *tree.Mirrored
	previous       *manifest.Table
	manifest       *manifest.Writer
	links          links
	gone           *safepath.Dir
	buffers        sync.Pool
	room           room

	mu     sync.Mutex
	counts Result
}

// begin opens what lies in Work.
func (c *copier) begin(dst *safepath.Dir) (err error) {
	if err := c.askRoom(); err != nil {
		return err
	}
	if c.manifest, err = manifest.Open(c.options.Work); err != nil {
		return fmt.Errorf("open the manifest of the copy: %w", err)
	}
	if err := c.openWork(); err != nil {
		return errors.Join(err, c.manifest.Close())
	}
	c.top = c.mirror.Top(dst)
	if p := c.options.Previous; p != nil {
		c.openPrevious(p)
	}
	return nil
}

// finish puts the manifest in its place and takes away what only the copying needed.
func (c *copier) finish(ctx context.Context) error {
	step("before the manifest is finished")
	if err := c.manifest.Finish(); err != nil {
		return fmt.Errorf("write the manifest of the copy: %w", err)
	}
	step("after the manifest is finished")
	return c.closeWork(ctx)
}

func (c *copier) result() Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.counts
	r.Written = c.progress.written.Load()
	return r
}

// count changes the result.
func (c *copier) count(change func(r *Result)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
}

func (c *copier) vanished(path string) { c.count(func(r *Result) { r.Vanished.add(path) }) }

// step is where a test ends the process, by name.
var step = func(string) {}

// end ends the copy for an error that every other entry would have, too.
func (c *copier) end(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("%w: the destination has no more room: free some, and the copy goes on where it was", err)
		c.cancel(err)
	}
	return err
}
