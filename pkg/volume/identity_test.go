// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Two clients: what one has renamed, the other's kernel knows under the old name for a second, and takes along to the
// next one.
func TestTheListingSaysWhatADirectoryIs(t *testing.T) {
	_, _, at := two(t, testcluster.VolumeOptions{})
	a, b := open(t, at[0]), open(t, at[1])
	create(t, a, spec("first"))
	for _, name := range []string{"one", "other"} {
		if err := os.Mkdir(filepath.Join(at[0], name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	known, err := b.root.Open("one")
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	theOther, err := b.root.Open("other")
	if err != nil {
		t.Fatal(err)
	}
	defer theOther.Close()
	gfid, err := gfidOf(theOther)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(filepath.Join(at[0], "one"), filepath.Join(at[0], "gone")), os.Rename(filepath.Join(at[0], "other"), filepath.Join(at[0], "one"))); err != nil {
		t.Fatal(err)
	}
	creating, err := b.home(creatingDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.root.Rename("one", creating, "aside"); err != nil {
		t.Fatal(err)
	}
	inode, err := creating.ListedInode("aside")
	if err != nil || inode != inodeOf(gfid) {
		t.Errorf("listed as %x, %v; it is %x", inode, err, inodeOf(gfid))
	}
	_, err = creating.ListedInode("nothing")
	wants(t, err, os.ErrNotExist)
}
