// SPDX-License-Identifier: Apache-2.0

// Package commit puts what was done on a Gluster volume on the disks of its bricks.
//
// A mkdir, link, rename or chown is in the memory of the bricks' file systems when it returns, and reaches their disks
// when these next write their logs: after up to 30 s on XFS, 5 s on ext4. Nothing that GlusterFS passes on asks for it
// earlier, but one call: fsync of a regular file that was changed after everything else. It writes the whole log of
// each brick that has the file. (fsync of a directory and syncfs do nothing; nor does fsync of a file that has not
// changed since the last one.)
//
// So there is one small file for each replica set, whose times are changed and that is then synced:
//
//	.glusterfs-csi/commit/<n>/<n>
//
// The bytes in files are not part of that: a file system writes those down when it likes, or when that file is synced.
// So who writes a file, calls fsync itself, and may then commit what was done around it.
//
// GlusterFS itself says on which replica set each lies; by what rule it chooses is not known here. Files are made until
// each set has one, and a directory until GlusterFS puts files from it on each set: it does not put any from an older
// one on bricks that came later. On a set that is almost full it puts none, but where the name says so (make.go). While a set is being taken out of the volume, GlusterFS puts no new file there, and
// once it has moved the file away that set is left out: what is lost there is lost with it.
//
// On replica 2 without quorum such a file, or its directory, may be in split-brain: another one takes its place
// (splitbrain.go).
//
// A change of the times, not a write: an arbiter's brick has no data, and a write changes nothing there, so that the
// fsync after it does nothing either.
package commit

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ages"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// idle is for how long files are held after their last use. Whoever holds a file keeps a client from ending.
const idle = 10 * time.Second

// Committer commits what was done on one Gluster volume. Its zero value is not usable; New makes one.
type Committer struct {
	forces  atomic.Int64
	idle    time.Duration
	makings ages.Sightings // of directories that are just being made

	mu      sync.Mutex
	running bool   // somebody uses files
	next    *force // what those share who have come since the one that is running began
	last    time.Time
	closed  bool

	files files // whoever has set running has it
}

// force is one round of syncs, for all who wait for it.
type force struct {
	root *safepath.Dir
	done chan struct{}
	err  error
}

// New returns a Committer of a Gluster volume. It begins with the first Commit.
func New() *Committer { return &Committer{idle: idle} }

// Forces is how often all replica sets were synced so far. Calls that wait at the same time share one.
func (c *Committer) Forces() int64 { return c.forces.Load() }

// Commit returns when everything that had been done on the Gluster volume before the call, by whatever client, but for
// the bytes in files, is on the disks of all bricks that root's client is connected to. root is the root of a mount of
// the Gluster volume; it may be another one each time, and may be closed once Commit has returned.
//
// It costs one force, whatever was done. Those who come while one is under way share the next one: so a hundred at once
// cost two or a few. Repeating it is harmless.
//
// An error says that it is not known what is on disk; the repetition of what was done, and of Commit, is the cure. It
// wraps the context's cause where GlusterFS does not answer in time; the force goes on then. Otherwise it wraps
// GlusterFS's own, ENOTCONN or EROFS where a replica set has no brick or no quorum; ErrHealing where a brick lacks the
// files that are synced.
func (c *Committer) Commit(ctx context.Context, root *safepath.Dir) error {
	f, err := c.join(root)
	if err != nil {
		return err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("%s does not answer in time, so it is not known whether what was done is on its disks: %w", root.Name(), context.Cause(ctx))
	}
}

// join returns the force that begins next, after it has seen to it that one does.
func (c *Committer) join(root *safepath.Dir) (*force, error) {
	own, err := root.Open(".") // which asks nobody
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = &force{done: make(chan struct{})}
	} else {
		c.next.root.Close()
	}
	c.next.root = own // the latest: an earlier one's client may be dead by now
	if !c.running {
		c.running = true
		go c.run()
	}
	return c.next, nil
}

// run forces as long as somebody waits.
func (c *Committer) run() {
	for {
		c.mu.Lock()
		f := c.next
		c.next = nil
		if f == nil {
			c.rest()
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if caught := panics.Try(func() { f.err = c.files.force(f.root, c.find) }); caught != nil {
			c.files.close()
			f.err = caught.Logged("commit")
		}
		if f.err == nil {
			c.forces.Add(1)
		}
		f.root.Close()
		close(f.done)
	}
}

// rest ends a run, and has the files closed if nobody comes for a while. c.mu is held.
func (c *Committer) rest() {
	c.running = false
	if c.closed {
		c.letGo()
		return
	}
	c.last = time.Now()
	time.AfterFunc(c.idle, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.running && time.Since(c.last) >= c.idle {
			c.letGo()
		}
	})
}

// letGo closes the files, on a goroutine of its own, since that may wait for GlusterFS. c.mu is held, and nobody runs.
func (c *Committer) letGo() {
	if !c.files.isOpen() {
		return
	}
	c.running = true
	go func() {
		c.files.close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running = false
		if c.next != nil {
			c.running = true
			go c.run()
		}
	}()
}

// Close gives up the files that are held, once no force is under way. It does not wait.
func (c *Committer) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if !c.running {
		c.letGo()
	}
}
