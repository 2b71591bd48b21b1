// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// The repair needs open_tree, which qemu-user, where the tests run as arm64, does not know.

package mount

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
)

// TestRepairFollowsNoLinkOfATenant: a pod that swaps a directory of its emptyDir with a link, at whatever moment of
// the repair of another volume of the pod, does not get what the link leads to on the node.
func TestRepairFollowsNoLinkOfATenant(t *testing.T) { repairFollowsNoLink(t) }

// As on Linux 5.4, which has no openat2, all mounts below a dead one are had from a mount elsewhere.
func TestRepairFollowsNoLinkOfATenantOnLinux5_4(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux5_4, repairFollowsNoLink)
}

func repairFollowsNoLink(t *testing.T) {
	dir := isolate(t)
	for moment := 1; ; moment++ {
		// There are the more moments the more mount namespaces the machine has, so each has room of its own.
		place := makeDirs(t, dir, fmt.Sprintf("moment-%d", moment))[0]
		mountTmpfs(t, place)
		l := newLoss(t, place)
		target := l.bind(t, "pvc-1", "target")
		emptyDir := makeDirs(t, l.dir, "kubelet/pods/empty-dir")[0]
		writeFile(t, filepath.Join(makeDirs(t, emptyDir, "a/b/sub")[0], "file"), "of the pod")
		writeFile(t, filepath.Join(makeDirs(t, l.dir, "node/b/sub")[0], "file"), "of the node")
		must(t, "symlink", os.Symlink("../../../node", filepath.Join(emptyDir, "link")))
		c := l.container(t, "root", target+" /data", emptyDir+"/a/b/sub /data/below")

		hook := &hookedContext{Context: t.Context(), counts: func() bool { return l.opens > 0 }, at: moment, run: func() {
			must(t, "swap", unix.Renameat2(unix.AT_FDCWD, emptyDir+"/a", unix.AT_FDCWD, emptyDir+"/link", unix.RENAME_EXCHANGE))
		}}
		_, err := runRepair(hook, new(Repairer), map[*Held]Open{l.held: l.open})
		must(t, "Repair", err)
		if got := c.Read("/data/below/file"); got != "of the pod" {
			t.Fatalf("swapped at the moment %d, the container reads %q", moment, got)
		}
		c.Stop()
		must(t, "close", unix.Unmount(place, unix.MNT_DETACH)) // with all that is mounted there
		if hook.calls < moment {
			t.Logf("swapped at %d moments", moment-1)
			return
		}
	}
}

// hookedContext runs something when it is asked for the at-th time whether it has ended, which a Repair does before
// each mount and each list of mounts.
type hookedContext struct {
	context.Context

	counts    func() bool
	at, calls int
	run       func()
}

func (c *hookedContext) Err() error {
	if c.counts() {
		if c.calls++; c.calls == c.at {
			c.run()
		}
	}
	return c.Context.Err()
}

// TestRepairLeavesAnotherUserNamespaceLocked: what an unprivileged user has in namespaces of his own stays read-only.
func TestRepairLeavesAnotherUserNamespaceLocked(t *testing.T) {
	l := newLoss(t, isolate(t))
	target := l.bind(t, "pvc-1", "target")
	must(t, "remount", unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	writable := l.bind(t, "pvc-2", "writable")
	openToAll(t, target)
	user := startUser(t)
	remount := "mount -o remount,bind,rw " + target + " 2>&1"
	if output, code := user.run(t, strings.ReplaceAll(remount, target, writable)); code != 0 {
		t.Fatalf("the user may change the flags that are not locked, but: %s", output)
	}
	if output, code := user.run(t, remount); code == 0 {
		t.Fatalf("before the repair, the user makes it writable: %s", output)
	}

	report := l.repair(t)
	if report.Repaired() != 2 || left(report) != 2+report.OnTop || len(report.Stale) != 2 {
		t.Errorf("the host's mounts were to be repaired, and the user's left: %+v", report)
	}
	for i, want := range []string{target, writable} {
		if i >= len(report.Stale) {
			break
		}
		got := report.Stale[i]
		if got.Target != want || got.PID != user.pid || !strings.Contains(fmt.Sprint(got.Err), "another user namespace") {
			t.Errorf("got %+v, want %s of process %d, and why", got, want, user.pid)
		}
	}
	expectContent(t, filepath.Join(target, "file"), "new")
	if output, code := user.run(t, remount); code == 0 {
		t.Errorf("after the repair, the user makes it writable: %s", output)
	}
}

// openToAll lets everybody walk to path.
func openToAll(t *testing.T, path string) {
	t.Helper()
	for path = filepath.Dir(path); path != "/"; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		must(t, "stat", err)
		if info.Mode()&0o001 == 0 {
			must(t, "chmod", os.Chmod(path, 0o755))
		}
	}
}

func TestRepairLeavesAnotherUserNamespaceLockedOnOldKernels(t *testing.T) {
	for _, kernel := range []oldkernel.Kernel{oldkernel.Linux5_4, oldkernel.Linux6_4} {
		t.Run(kernel.String(), func(t *testing.T) { oldkernel.On(t, kernel, TestRepairLeavesAnotherUserNamespaceLocked) })
	}
}
