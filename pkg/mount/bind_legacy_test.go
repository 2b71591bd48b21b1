// SPDX-License-Identifier: Apache-2.0

// A test on an old kernel is a second process of the test binary, which qemu-user
// cannot start: these are for amd64. On arm64 they are not missed, since there
// qemu-user has no new mount API, and TestBind itself takes the old way.
//go:build amd64 && !quick

package mount

import (
	"os"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
)

// TestBindOnOldKernels covers every combination of missing calls there has been:
// none of the new mount API, all but mount_setattr, and all.
func TestBindOnOldKernels(t *testing.T) {
	for _, kernel := range []oldkernel.Kernel{oldkernel.Linux5_1, oldkernel.Linux5_4, oldkernel.Linux5_11, oldkernel.Linux6_4} {
		t.Run(kernel.String(), func(t *testing.T) { oldkernel.On(t, kernel, TestBind) })
	}
}

func TestLegacyBindLeavesNoTemporaryDirectory(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux5_4, func(t *testing.T) {
		temporary := t.TempDir()
		t.Setenv("TMPDIR", temporary)
		dir := isolate(t)
		dirs := makeDirs(t, dir, "source", "target")
		must(t, "Bind", Bind(openPath(t, dirs[0]), dirs[1], ReadOnly))
		if err := Bind(openPath(t, dirs[0]), "/proc/self/status", 0); err == nil {
			t.Error("a directory is bound onto a file")
		}
		entries, err := os.ReadDir(temporary)
		must(t, "list the temporary directory", err)
		for _, e := range entries {
			t.Errorf("left behind: %s", e.Name())
		}
	})
}
