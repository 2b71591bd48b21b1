// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// What is in Work until the copy is complete.
const (
	linksName = "links" // a name of each file that has several, by what its source is: see links
	goneName  = "gone"  // what was in the copy and is not in the source, until it is removed
)

func (c *copier) openWork() (err error) {
	if c.gone, err = makeDirectory(c.options.Work, goneName); err != nil {
		return err
	}
	at, err := makeDirectory(c.options.Work, linksName)
	if err != nil {
		c.gone.Close()
		return err
	}
	c.links.dir = at
	return nil
}

func makeDirectory(parent *safepath.Dir, name string) (*safepath.Dir, error) {
	if err := parent.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return parent.Subdirectory(name)
}

func (c *copier) closeWork(ctx context.Context) error {
	return errors.Join(
		tree.Remove(ctx, c.options.Work, linksName, nil, c.options.Permit, func() {}),
		tree.Remove(ctx, c.options.Work, goneName, nil, c.options.Permit, func() {}),
	)
}

// release closes what openWork has opened.
func (c *copier) release() {
	c.mirror.Close()
	c.before.Close()
	c.gone.Close()
	c.links.dir.Close()
	c.previous.Close()
}

// openPrevious makes use of a previous copy, if its manifest can be read: without, everything is copied.
func (c *copier) openPrevious(p *Previous) {
	table, err := manifest.OpenTable(p.Work)
	if err != nil {
		klog.FromContext(c.ctx).Error(err, "The previous copy is of no use for this one: everything is copied", "previous", p.Tree.Name())
		return
	}
	c.previous, c.previousTop = table, c.before.Top(p.Tree)
}

// putAway takes what is at a name out of the copy. A directory is moved, whatever it holds, and removed at the end.
func (c *copier) putAway(to *safepath.Dir, name string, kind uint32) error {
	if kind != unix.S_IFDIR {
		return inDestination(ignoreNotExist(to.Unlink(name)))
	}
	away := strconv.FormatUint(rand.Uint64(), 36)
	return inDestination(ignoreNotExist(to.Rename(name, c.gone, away)))
}

func ignoreNotExist(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}

// isGone says that something is not there, or, by GlusterFS, not there any more.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) }

// inDestination keeps what is missing in the destination from being taken for an entry of the source that went, which
// is no error of a walk.
func inDestination(err error) error {
	if isGone(err) || errors.Is(err, tree.ErrMoved) {
		return fmt.Errorf("something else changes the copy: %v", err) //nolint:errorlint // see above
	}
	return err
}

// room asks Options.Room now and then.
type room struct {
	mu      sync.Mutex
	bytes   int64
	entries int64
}

// used says that so much was written or made since.
func (c *copier) used(bytes, entries int64) error {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	c.room.bytes += bytes
	c.room.entries += entries
	if c.room.bytes < roomPeriod && c.room.entries < roomEntries {
		return nil
	}
	c.room.bytes, c.room.entries = 0, 0
	return c.askRoom()
}

func (c *copier) askRoom() error {
	if c.options.Room == nil {
		return nil
	}
	err := c.options.Room()
	if err != nil {
		c.cancel(err)
	}
	return err
}
