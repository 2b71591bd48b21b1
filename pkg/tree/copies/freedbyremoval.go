// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// Alone returns how many bytes of disk would be free without a copy, of one replica: of its directories, of the files
// that no other copy has a link to, and of what is in work (TestAloneIsWhatIsFreeWithoutASnapshot of package snapshot).
// It walks through all of it. Memory is used for those files alone that have several names within the copy.
func Alone(ctx context.Context, dir, work *safepath.Dir, permit *permits.Permit) (int64, error) {
	table, err := manifest.OpenTable(work)
	if err != nil {
		return 0, fmt.Errorf("open the manifest of the copy: %w", err)
	}
	defer table.Close()
	a := &alone{table: table, names: map[uint64]*named{}}
	if a.several, err = table.Several(); err != nil {
		return 0, err
	}
	o := tree.Options{Task: "adding up what a copy holds alone", Workers: workers, Batch: listBatch, Permit: permit}
	if err := tree.Walk(ctx, dir, a, o); err != nil {
		return 0, err
	}
	for _, n := range a.names {
		if n.left == 0 {
			a.bytes += n.bytes
		}
	}
	var beside alone
	err = tree.Walk(ctx, work, &beside, o)
	return a.bytes + beside.bytes, err
}

// alone adds up; without a table, whatever has a name.
type alone struct {
	table   *manifest.Table
	several map[uint64]bool // inodes of the source that have several names in the copy

	mu    sync.Mutex
	bytes int64
	names map[uint64]*named // by the copy's inode
}

// named is a file of the copy with several names in it.
type named struct {
	left  int64 // names that were not seen
	bytes int64
}

func (a *alone) add(st unix.Stat_t) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes += onDisk(st)
}

func onDisk(st unix.Stat_t) int64 { return st.Blocks * 512 }

func (a *alone) Enter(d *tree.Directory, _ *safepath.Dir) error {
	a.add(d.Stat())
	if d.Parent() == nil {
		d.Data = manifest.Directory{}
		return nil
	}
	d.Data = d.Parent().Data.(manifest.Directory).Below(d.Name()) //nolint:forcetypeassert // set here
	return nil
}

func (a *alone) Leave(*tree.Directory) (again bool, err error) { return false, nil }

func (a *alone) Entry(_ tree.Worker, d *tree.Directory, dir *safepath.Dir, name string) error {
	st, err := dir.StatEntry(name)
	switch {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return unix.EISDIR
	case st.Nlink == 1 || a.table == nil:
		a.add(st)
		return nil
	}
	r, _, found, err := a.table.Find(d.Data.(manifest.Directory), name) //nolint:forcetypeassert // set in Enter
	if err != nil || !found || !a.several[r.Inode] {
		return err // its other names are in other copies
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.names[st.Ino]
	if n == nil {
		n = &named{left: int64(st.Nlink), bytes: onDisk(st)}
		a.names[st.Ino] = n
	}
	n.left--
	return nil
}
