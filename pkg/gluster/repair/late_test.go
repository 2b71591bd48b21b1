// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
)

// A runtime that starts a container clones what is to be mounted in it, and attaches the clone later. Between the two
// no mountinfo shows it.
func TestADeadMountThatIsAttachedAfterTheRepairIsRepaired(t *testing.T) {
	h := clients.SharedHost(t)
	c := clients.Ensure(t, h, gv0)
	clients.MakeFile(t, c, "late")
	target := clients.Bind(t, c, "/late", 0)
	tree, err := unix.OpenTree(unix.AT_FDCWD, target, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	clients.Kill(t, c)
	r := New(h, nil)
	repairOnce := func() {
		t.Helper()
		h.Adopt(t.Context())
		if _, err := r.repair(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	repairOnce()
	if at, err := mount.At(target); len(at) != 1 || !h.Serves(at[0].Device) {
		t.Fatalf("mounted is %+v, %v", at, err)
	}
	repairOnce() // which finds nothing

	late := filepath.Join(t.TempDir(), "late")
	if err := os.Mkdir(late, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, late, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mount.Detach(late); err != nil {
			t.Error(err)
		}
	})
	unix.Close(tree)
	repairOnce()
	if data, err := os.ReadFile(filepath.Join(late, "file")); string(data) != "data" {
		t.Errorf("what was attached late is dead: %v", err)
	}
}
