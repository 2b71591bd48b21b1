// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// Chown gives all that is below dir, but not dir itself, another owner and group; -1 leaves either as it is.
// Interrupted, it is begun again, and changes what is not so yet. As chown(1) does, it takes setuid and setgid from
// files that it changes; directories keep their setgid (TestChown…). A link's own owner is changed. visited counts
// what was looked at.
func Chown(ctx context.Context, dir *safepath.Dir, uid, gid int, own Own, permit *permits.Permit, visited *atomic.Int64) error {
	return Walk(ctx, dir, &chowner{uid, gid, visited}, Options{
		Task: "changing the owner of a tree", Workers: granters, Batch: grantBatch, Own: own, Permit: permit,
	})
}

type chowner struct {
	uid, gid int
	visited  *atomic.Int64
}

func (c *chowner) Enter(*Directory, *safepath.Dir) error { return nil }

func (c *chowner) Entry(_ Worker, _ *Directory, dir *safepath.Dir, name string) error {
	return changeEntry(dir, name, "chown", c.change)
}

func (c *chowner) Leave(d *Directory) (again bool, err error) {
	if d.Parent() == nil {
		return false, nil
	}
	return false, d.Use(func(dir *safepath.Dir) error {
		st, err := dir.Stat() // on entering it may have been another's
		if err != nil {
			return err
		}
		return c.change(dir, st)
	})
}

func (c *chowner) change(entry *safepath.Dir, st unix.Stat_t) error {
	c.visited.Add(1)
	if (c.uid < 0 || st.Uid == uint32(c.uid)) && (c.gid < 0 || st.Gid == uint32(c.gid)) {
		return nil
	}
	if err := entry.Chown(c.uid, c.gid); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&0o6000 != 0 {
		return entry.Chmod(st.Mode & 0o7777)
	}
	return nil
}

// changeEntry calls change with what has a name, unless that is a directory by now: those have their own turn.
func changeEntry(dir *safepath.Dir, name, task string, change func(*safepath.Dir, unix.Stat_t) error) error {
	entry, err := dir.Entry(name)
	if err != nil {
		return err
	}
	defer entry.Close()
	st, err := entry.Stat()
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return &os.PathError{Op: task, Path: entry.Name(), Err: unix.EISDIR}
	}
	return change(entry, st)
}
