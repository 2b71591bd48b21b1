// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const stepRemoving = "reap: one file removed"

const (
	// removers bounds the removals under way at once. It is the throttle as well: a
	// brick serves 16 requests at a time, and applications are to have most of them.
	removers = 4
	// removeBatch is about how many names of a directory are read at a time: as many as are
	// removed before the kernel forgets what it learnt of each by reading them, which is a
	// second. Else it asks the bricks again.
	removeBatch = 64
	// removeDepth bounds the descriptors that each remover holds. A tenant may nest directories
	// deeper than any process may open; deeper ones are moved up first.
	removeDepth = 64
	// maxIdle is after how many rounds in which nothing went a directory is given up.
	maxIdle = 5
)

// remover removes the tree below top.
type remover struct {
	ctx      context.Context //nolint:containedctx // of the one call that it is
	top      *safepath.Dir
	removed  func()
	progress atomic.Int64  // entries that are gone, or moved up
	others   chan struct{} // holds a token for each goroutine beside the first
}

// removeTree removes the directory name in parent with everything below it, following
// no link. What another remover takes away meanwhile is no error. removed is called
// after each file, from several goroutines.
func removeTree(ctx context.Context, parent *safepath.Dir, name string, removed func()) error {
	top, err := parent.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer top.Close()
	r := &remover{ctx: ctx, top: top, removed: removed, others: make(chan struct{}, removers-1)}
	return r.remove(parent, name, top, 0)
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) {
		return nil
	}
	return err
}

// remove removes dir, which is at name in parent, with what is in it.
func (r *remover) remove(parent *safepath.Dir, name string, dir *safepath.Dir, depth int) error {
	for idle := 0; ; {
		before := r.progress.Load()
		if err := gone(r.empty(dir, depth)); err != nil {
			return err
		}
		err := parent.Rmdir(name)
		if err == nil {
			r.progress.Add(1)
		}
		// Reading may leave out what is there while other names go, and directories are moved up.
		if !errors.Is(err, unix.ENOTEMPTY) {
			return gone(err)
		}
		// A second reaper may have been faster, but not every time: GlusterFS lists names
		// that it cannot find when a heal is pending.
		if r.progress.Load() > before {
			idle = 0
		} else if idle++; idle == maxIdle {
			return fmt.Errorf("%s has entries that cannot be removed: see `gluster volume heal VOLUME info`", dir.Name())
		}
	}
}

// empty removes what it reads in dir: files one after the other, since the kernel lets go of
// one name in a directory at a time, and directories side by side.
func (r *remover) empty(dir *safepath.Dir, depth int) error {
	list, err := dir.List(removeBatch)
	if err != nil {
		return err
	}
	defer list.Close()
	var group errgroup.Group
	for err == nil {
		var names []string
		if names, err = list.Next(); err == nil {
			err = r.entries(&group, dir, names, depth+1)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, group.Wait())
}

func (r *remover) entries(group *errgroup.Group, dir *safepath.Dir, names []string, depth int) error {
	var directories []string
	for _, name := range names {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		err := dir.Unlink(name)
		if errors.Is(err, unix.EISDIR) {
			directories = append(directories, name)
			continue
		}
		if err == nil {
			r.progress.Add(1)
		}
		if err := gone(err); err != nil {
			return err
		}
		r.removed()
	}
	for _, name := range directories {
		if err := r.spread(group, func() error { return r.directory(dir, name, depth) }); err != nil {
			return err
		}
	}
	return nil
}

// spread runs task on another goroutine where one is to be had, else here.
func (r *remover) spread(group *errgroup.Group, task func() error) error {
	select {
	case r.others <- struct{}{}:
		group.Go(func() error {
			defer func() { <-r.others }()
			return task()
		})
		return nil
	default:
		return task()
	}
}

func (r *remover) directory(parent *safepath.Dir, name string, depth int) error {
	if depth > removeDepth {
		// The loop over top's own entries will meet it there.
		r.progress.Add(1)
		return gone(parent.Rename(name, r.top, "deep."+strconv.FormatUint(rand.Uint64(), 36)))
	}
	dir, err := parent.Open(name)
	if err != nil {
		return gone(err)
	}
	defer dir.Close()
	return r.remove(parent, name, dir, depth)
}
