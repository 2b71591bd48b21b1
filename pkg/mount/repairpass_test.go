// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// The repair needs open_tree, which qemu-user, where the tests run as arm64, does not know.

package mount

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
)

// manyBinds binds directories of the old file system, each one of its own, in the namespace of the test, and others
// that live beside them.
func (l *loss) manyBinds(t testing.TB, roots, others int) {
	t.Helper()
	l.volumes(t, roots)
	other := makeDirs(t, l.dir, "other")[0]
	for i := range roots + others {
		source := other
		if i < roots {
			source = fmt.Sprintf("%s/volume-%d", l.old, i)
		}
		must(t, "bind", unix.Mount(source, makeDirs(t, l.dir, fmt.Sprintf("target-%d", i))[0], "", unix.MS_BIND, ""))
	}
}

// bytesRead is how much this process has read, of whatever.
func bytesRead(t testing.TB) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	must(t, "read", err)
	_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
	must(t, "parse", err)
	return n
}

// TestRepairReadsFewLists: what a repair costs grows with the mounts there are, and not with their square. Each
// root's opening, and each replacement, would else begin with the list of all of them.
func TestRepairReadsFewLists(t *testing.T) {
	const roots, others = 200, 1000
	l := newLoss(t, isolate(t))
	l.manyBinds(t, roots, others)
	list, err := os.ReadFile(mountInfoPath)
	must(t, "read", err)
	before, began := bytesRead(t), time.Now()
	report := l.repair(t)
	took, read := time.Since(began), bytesRead(t)-before
	expectRepaired(t, report, roots)
	lists := read / len(list)
	t.Logf("%d roots beside %d other mounts in %v, having read the list %d times", roots, others, took, lists)
	if lists > roots/4 {
		t.Errorf("read the list of %d mounts %d times to repair %d", roots+others, lists, roots)
	}
}

func TestRepairReadsFewListsOnOldKernels(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux5_11, TestRepairReadsFewLists)
}

// TestRepairServesNamespacesInTurn: one that has thousands of dead mounts does not hold up another with one.
func TestRepairServesNamespacesInTurn(t *testing.T) {
	const many = 3000
	l := newLoss(t, isolate(t))
	first := l.start(t, "crowd", &Container{Binds: []string{l.old + "/pvc-1 /data"}, Copies: many})
	bystander := l.container(t, "bystander", l.old+"/pvc-2 /data")
	before := deadIn(t, first, l.dead)
	if before <= many {
		t.Fatalf("%d dead mounts", before)
	}
	left := -1
	seen := &hookedContext{Context: t.Context(), counts: func() bool { return left < 0 && deadIn(t, bystander, l.dead) == 0 }, at: 1, run: func() {
		left = deadIn(t, first, l.dead)
	}}
	report, err := runRepair(seen, &l.repairer, map[*Held]Open{l.held: l.open})
	must(t, "Repair", err)
	if left < many/4 {
		t.Errorf("when the bystander's mount was repaired, %d of %d were left to repair in the namespace before it", left, many)
	}
	if len(report.Stale) != 0 || deadIn(t, first, l.dead) != 0 {
		t.Errorf("%d dead mounts, %+v", deadIn(t, first, l.dead), report)
	}
	expectReads(t, bystander, "/data/file", "new")
}

// deadIn is how many mounts of a device a container has.
func deadIn(t testing.TB, c *Container, device Device) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", c.PID()))
	must(t, "read", err)
	return bytes.Count(text, fmt.Appendf(nil, " %d:%d ", device.Major, device.Minor))
}

func TestNamespacesThatCannotBeReadAreNamed(t *testing.T) {
	l := newLoss(t, isolate(t))
	target := l.bind(t, "pvc-1", "target")
	c := l.container(t, "root", target+" /data")
	r, err := newRepair(map[*Held]Open{l.held: l.open})
	must(t, "newRepair", err)
	defer r.close()
	r.report.Left = map[Device]int{}
	file, err := os.Open("/dev/null")
	must(t, "open", err)
	// What is no namespace cannot be entered.
	if r.turn(t.Context(), &namespace{inode: 1, pid: c.PID(), fd: int(file.Fd())}) {
		t.Error("it has another turn")
	}
	if got := r.report; len(got.Unread) != 1 || got.Unread[0].Err == nil || got.Left[l.dead] != 1 {
		t.Errorf("got %+v", got)
	}
	must(t, "close", file.Close())
}

// BenchmarkRepairBesideOthers repairs 100 roots beside 1,000 other mounts in one namespace.
func BenchmarkRepairBesideOthers(b *testing.B) {
	l := newLoss(b, isolate(b))
	l.manyBinds(b, 100, 1000)
	for b.Loop() {
		if report := l.repair(b); report.Repaired() != 100 {
			b.Fatalf("got %+v", report)
		}
		b.StopTimer()
		l.next(b, 100)
		b.StartTimer()
	}
}
