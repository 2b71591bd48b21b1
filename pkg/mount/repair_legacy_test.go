// SPDX-License-Identifier: Apache-2.0

// A test on an old kernel is a second process of the test binary, which qemu-user
// cannot start: these are for amd64.
//go:build amd64 && !quick

package mount

import (
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
)

// TestRepairOnOldKernels covers what has been missing: mounting beneath, setting a
// mount's attributes before anybody sees it, and walking by cached names.
func TestRepairOnOldKernels(t *testing.T) {
	for _, kernel := range []oldkernel.Kernel{oldkernel.Linux5_4, oldkernel.Linux5_11, oldkernel.Linux6_4} {
		t.Run(kernel.String(), func(t *testing.T) {
			oldkernel.On(t, kernel, func(t *testing.T) {
				t.Run("on the host", TestRepair)
				t.Run("in containers", TestRepairInContainers)
				t.Run("without asking", TestRepairNeverAsksTheDeadFileSystem)
				t.Run("leaving nothing", TestRepairLeavesNoDescriptor)
			})
		})
	}
}

func TestRepairGoesOnTopWhereItCannotGoBeneath(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux6_4, func(t *testing.T) {
		l := newLoss(t, isolate(t))
		target := l.bind(t, "pvc-1", "target")
		if report := l.repair(t); report.OnTop != 1 || report.Beneath != 0 || left(report) != 1 {
			t.Errorf("got %+v", report)
		}
		stack := mountsAt(t, target)
		if len(stack) != 2 || stack[0].Device != l.dead || stack[1].Device == l.dead {
			t.Errorf("got %+v, want the living mount on the dead one", stack)
		}
		expectContent(t, filepath.Join(target, "file"), "new")
		// Only once, although the dead one is still there.
		if report := l.repair(t); report.OnTop != 0 || left(report) != 1 {
			t.Errorf("the second time: %+v", report)
		}
		// When the living one dies as well, it is detached from the dead one before another goes on top.
		first := l.held
		l.next(t, 0)
		report, err := runRepair(t.Context(), &l.repairer, map[*Held]Open{first: l.open, l.held: l.open})
		if err != nil || report.OnTop != 1 || left(report) != 1 {
			t.Errorf("the second death: %+v, %v", report, err)
		}
		if stack := mountsAt(t, target); len(stack) != 2 || stack[1].Device == l.dead {
			t.Errorf("after the second death: %+v, want two mounts", stack)
		}
		expectContent(t, filepath.Join(target, "file"), "newx")
		must(t, "Detach", Detach(target))
		if left := mountsAt(t, target); len(left) != 0 {
			t.Errorf("after Detach: %+v", left)
		}
	})
}
