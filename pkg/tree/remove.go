// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// removers bounds the removals under way at once. It is the throttle as well: a brick serves 16 requests at a time, and
	// applications are to have most of them.
	removers    = 4
	removeBatch = 64
	// removePasses is how often a directory is read that is not empty after all in it was removed. Reading may leave out
	// what is there while other names go, or a second remover may be at it.
	removePasses = 10
)

// Remove removes the directory name in parent with everything below it but what own refuses and what cannot be removed,
// which the error tells. What another remover takes away meanwhile is no error, nor is a directory that is not there.
// removed is called after each file, by several workers at once.
func Remove(ctx context.Context, parent *safepath.Dir, name string, own Own, removed func()) error {
	top, err := parent.Subdirectory(name)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer top.Close()
	return Walk(ctx, top, &remover{parent: parent, name: name, removed: removed}, Options{
		Task: "removing a tree", Workers: removers, Batch: removeBatch, InTurn: true, IgnoreMoved: true, Own: own,
	})
}

type remover struct {
	parent  *safepath.Dir
	name    string
	removed func()
}

func (r *remover) Enter(*Directory, *safepath.Dir) error { return nil }

func (r *remover) Entry(_ *Directory, dir *safepath.Dir, name string) error {
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
	if d.Parent() == nil {
		err = r.parent.Rmdir(r.name)
	} else {
		err = d.Parent().Use(func(parent *safepath.Dir) error { return parent.Rmdir(d.Name()) })
	}
	if !errors.Is(err, unix.ENOTEMPTY) {
		return false, err
	}
	if d.Passes() < removePasses {
		return true, nil
	}
	return false, fmt.Errorf("%w: something goes on writing into it, or its names cannot be found: see `gluster volume heal VOLUME info`", err)
}
