// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// Check asks own of each directory below top and changes nothing. It ends at the first that is refused.
func Check(ctx context.Context, top *safepath.Dir, own Own, permit *permits.Permit) error {
	w := newWalk(ctx, checker{}, Options{Task: "looking through a tree", Workers: granters, Permit: permit})
	w.options.Own = func(dir *safepath.Dir, st unix.Stat_t) error {
		err := own(dir, st)
		if err != nil {
			w.stopped.Store(true)
		}
		return err
	}
	return w.walk(top)
}

type checker struct{}

func (checker) Enter(*Directory, *safepath.Dir) error                 { return nil }
func (checker) Entry(Worker, *Directory, *safepath.Dir, string) error { return nil }
func (checker) Leave(*Directory) (again bool, err error)              { return false, nil }
