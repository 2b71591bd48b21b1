// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// Two clients: what one has renamed, the other's kernel knows under the old name for a second, and takes along to the
// next one.
func TestTheListingSaysWhatADirectoryIs(t *testing.T) {
	_, _, at := volumes.TwoClients(t, testcluster.VolumeOptions{})
	a, b := volumes.Open(t, at[0]), volumes.Open(t, at[1])
	volumes.Create(t, a, volumes.Spec("first"))
	for _, name := range []string{"one", "other"} {
		if err := os.Mkdir(filepath.Join(at[0], name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	known, err := b.Root.Open("one")
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	theOther, err := b.Root.Open("other")
	if err != nil {
		t.Fatal(err)
	}
	defer theOther.Close()
	gfid, err := store.GFIDOf(theOther)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(filepath.Join(at[0], "one"), filepath.Join(at[0], "gone")), os.Rename(filepath.Join(at[0], "other"), filepath.Join(at[0], "one"))); err != nil {
		t.Fatal(err)
	}
	creating, err := b.EnsureShard(owndir.CreatingDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Root.Rename("one", creating, "aside"); err != nil {
		t.Fatal(err)
	}
	inode, err := creating.ListedInode("aside")
	if err != nil || inode != store.InodeOf(gfid) {
		t.Errorf("listed as %x, %v; it is %x", inode, err, store.InodeOf(gfid))
	}
	_, err = creating.ListedInode("nothing")
	volumes.Wants(t, err, os.ErrNotExist)
}
