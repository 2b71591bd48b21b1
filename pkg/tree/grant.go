// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// granters bounds the entries being changed at once. A pod waits for them, so it is what a brick serves at a time.
	granters   = 16
	grantBatch = 32

	grantedDirectory = 0o2070
)

// Granted says whether dir shows that its whole tree is the group's already: group, setgid and group rwx. The top of
// a tree is changed last, so that is enough.
func Granted(dir *safepath.Dir, gid uint32) (bool, error) {
	st, err := dir.Stat()
	if err != nil {
		return false, err
	}
	return st.Gid == gid && st.Mode&grantedDirectory == grantedDirectory, nil
}

// Grant lets the group read and write everything below dir, and dir itself at the very end, unless something could
// not be granted; interrupted, it is begun again. Nothing is taken away from anyone: bits are added, never cleared
// (TestGrantAddsBits). A link's own group is set.
func Grant(ctx context.Context, dir *safepath.Dir, gid uint32, own Own, permit *permits.Permit) error {
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	logger := klog.FromContext(ctx)
	logger.Info("Granting a volume to a group", "path", dir.Name(), "gid", gid, "formerGid", st.Gid)
	if st.Gid != 0 && st.Gid != gid {
		logger.Info("Pods with different fsGroups take this volume from each other at every start", "path", dir.Name(), "gid", gid, "formerGid", st.Gid)
	}
	return Walk(ctx, dir, &granter{gid}, Options{Task: "granting a tree to a group", Workers: granters, Batch: grantBatch, Own: own, Permit: permit})
}

type granter struct{ gid uint32 }

func (g *granter) Enter(*Directory, *safepath.Dir) error { return nil }

func (g *granter) Entry(_ Worker, _ *Directory, dir *safepath.Dir, name string) error {
	return changeEntry(dir, name, "grant", g.grant)
}

func (g *granter) Leave(d *Directory) (again bool, err error) {
	if d.Parent() == nil && d.Failed() {
		return false, nil
	}
	return false, d.Use(func(dir *safepath.Dir) error {
		// Not as it was on entering: that may be hours ago, and bits that were added since are to stay.
		st, err := dir.Stat()
		if err != nil {
			return err
		}
		return g.grant(dir, st)
	})
}

func (g *granter) grant(entry *safepath.Dir, st unix.Stat_t) error {
	if st.Gid != g.gid {
		if err := entry.Chown(-1, int(g.gid)); err != nil {
			return err
		}
	}
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFLNK {
		return nil
	}
	want := st.Mode&0o7777 | 0o060
	if kind == unix.S_IFDIR {
		want |= grantedDirectory
	} else if st.Mode&0o111 != 0 {
		want |= 0o010
	}
	// A change of group clears setuid and setgid of a program: put back what it had.
	if want != st.Mode&0o7777 || st.Gid != g.gid && want&0o6000 != 0 {
		return entry.Chmod(want)
	}
	return nil
}
