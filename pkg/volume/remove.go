// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
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
	// removeBatch bounds the names held in memory for one directory.
	removeBatch = 512
	// removeDepth bounds the descriptors held at once. A tenant may nest directories
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
	progress atomic.Int64 // entries that are gone, or moved up
}

// removeTree removes the directory name in dir with everything below it, following
// no link. What another remover takes away meanwhile is no error. removed is called
// after each file, from several goroutines.
func removeTree(ctx context.Context, dir *safepath.Dir, name string, removed func()) error {
	top, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer top.Close()
	if err := (&remover{ctx: ctx, top: top, removed: removed}).empty(top, 0); err != nil {
		return err
	}
	return gone(dir.Rmdir(name))
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) {
		return nil
	}
	return err
}

// empty removes what is in dir: files in parallel, then directories one after the
// other, so that one chain of descriptors is open however wide the tree is.
func (r *remover) empty(dir *safepath.Dir, depth int) error {
	for idle := 0; ; {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		before := r.progress.Load()
		names, err := dir.Names(removeBatch)
		if err != nil || len(names) == 0 {
			return gone(err)
		}
		directories, err := r.unlink(dir, names)
		if err != nil {
			return err
		}
		for _, name := range directories {
			if err := r.directory(dir, name, depth+1); err != nil {
				return err
			}
		}
		// A second reaper may have been faster, but not every time: GlusterFS lists names
		// that it cannot find when a heal is pending.
		if r.progress.Load() > before {
			idle = 0
		} else if idle++; idle == maxIdle {
			return fmt.Errorf("%s lists %q, which cannot be removed: see `gluster volume heal VOLUME info`", dir.Name(), names[0])
		}
	}
}

// unlink removes the files among names and returns the others.
func (r *remover) unlink(dir *safepath.Dir, names []string) ([]string, error) {
	isDirectory := make([]bool, len(names))
	var group errgroup.Group
	group.SetLimit(removers)
	for i, name := range names {
		group.Go(func() error {
			err := dir.Unlink(name)
			if errors.Is(err, unix.EISDIR) {
				isDirectory[i] = true
				return nil
			}
			if err == nil {
				r.progress.Add(1)
			}
			r.removed()
			return gone(err)
		})
	}
	err := group.Wait()
	var directories []string
	for i, name := range names {
		if isDirectory[i] {
			directories = append(directories, name)
		}
	}
	return directories, err
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
	err = r.empty(dir, depth)
	dir.Close()
	if err != nil {
		return err
	}
	err = parent.Rmdir(name)
	if err == nil {
		r.progress.Add(1)
	}
	if errors.Is(err, unix.ENOTEMPTY) {
		return nil // moved up into it by another remover, or filled meanwhile: met again
	}
	return gone(err)
}
