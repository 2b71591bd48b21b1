// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// removers bounds the removals under way at once. It is the throttle as well: a brick serves 16 requests at a
	// time, and applications are to have most of them.
	removers    = 4
	removeBatch = 64
	// removePasses is how often a directory is read that is not empty after all in it was removed. Reading may leave
	// out what is there while other names go, or a second remover may be at it.
	removePasses = 10
	// removeLength is how long a path below the top may be, in bytes; what lies deeper is moved up first. GlusterFS
	// reaches no directory whose path from the root of the Gluster volume is longer than PATH_MAX, and a volume's
	// path is longer in the trash than it was.
	removeLength = 1 << 10
)

// Remove removes the directory name in parent with everything below it but what own refuses and what cannot be removed,
// which the error tells. What another remover takes away meanwhile is no error, nor is a directory that is not there.
// removed is called after each file and each directory below the first, by several workers at once.
func Remove(ctx context.Context, parent *safepath.Dir, name string, own Own, permit *permits.Permit, removed func()) error {
	top, err := parent.Subdirectory(name)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer top.Close()
	return Walk(ctx, top, &remover{parent: parent, name: name, top: top, removed: removed}, Options{
		Task: "removing a tree", Workers: removers, Batch: removeBatch, InTurn: true, IgnoreMoved: true, Own: own,
		Permit: permit,
	})
}

type remover struct {
	parent  *safepath.Dir
	name    string
	top     *safepath.Dir
	removed func()

	moved atomic.Bool // in this pass over the top
	moves int         // passes over the top in which something was moved
}

func (r *remover) Enter(d *Directory, _ *safepath.Dir) error {
	if d.PathLength() <= removeLength {
		return nil
	}
	err := d.Parent().Use(func(parent *safepath.Dir) error {
		return parent.Rename(d.Name(), r.top, "deep."+strconv.FormatUint(rand.Uint64(), 36))
	})
	if err != nil {
		return err
	}
	r.moved.Store(true)
	return fs.SkipDir
}

func (r *remover) Entry(_ Worker, _ *Directory, dir *safepath.Dir, name string) error {
	if err := ignoreNotExist(dir.Unlink(name)); err != nil {
		return err
	}
	r.removed()
	return nil
}

func (r *remover) Leave(d *Directory) (again bool, err error) {
	if d.Failed() {
		return false, nil // what is left in it has been told
	}
	passes := d.Passes()
	if d.Parent() == nil {
		if r.moved.Swap(false) {
			r.moves++
		}
		passes -= r.moves
		err = r.parent.Rmdir(r.name)
	} else {
		err = d.Parent().Use(func(parent *safepath.Dir) error { return parent.Rmdir(d.Name()) })
		if err == nil {
			r.removed()
		}
	}
	if !errors.Is(err, unix.ENOTEMPTY) {
		return false, err
	}
	if passes < removePasses {
		return true, nil
	}
	return false, fmt.Errorf("%w: something goes on writing into it, or its names cannot be found: see `gluster volume heal VOLUME info`", err)
}
