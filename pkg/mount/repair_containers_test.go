// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// The repair needs open_tree, which qemu-user, where the tests run as arm64, does not know.

package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// container starts one with an empty root below l.dir.
func (l *loss) container(t testing.TB, name string, binds ...string) *Container {
	t.Helper()
	return l.start(t, name, &Container{Binds: binds})
}

func (l *loss) start(t testing.TB, name string, c *Container) *Container {
	t.Helper()
	c.Root = filepath.Join(l.dir, name)
	if err := os.Mkdir(c.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	return c.Start(t)
}

func expectReads(t testing.TB, c *Container, path, want string) {
	t.Helper()
	if got := c.Read(path); got != want {
		t.Errorf("the container reads %q in %s, want %q", got, path, want)
	}
}

// TestRepairInContainers holds whether the kernel can mount beneath or not.
func TestRepairInContainers(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, l *loss){
		"reaches a container of private propagation": repairInAContainer,
		"reaches a chrooted process":                 repairInAChroot,
		"keeps what is mounted below":                repairBelowInAContainer,
		"follows shared and slave mounts":            repairOfSharedMounts,
		"lets no reader see anything in between":     repairUnderLoad,
		"bears containers that come and go":          repairWhileContainersComeAndGo,
		"reaches a hundred binds in twenty":          repairHundred,
	} {
		t.Run(name, func(t *testing.T) { test(t, newLoss(t, isolate(t))) })
	}
}

func repairInAContainer(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "kubelet/target")
	file := l.bind(t, "pvc-1/sub/app.ini", "kubelet/app.ini")
	c := l.container(t, "root", target+" /data", target+" /readonly ro", file+" /etc/app.ini", l.dir+"/kubelet /all")
	expectReads(t, c, "/data/file", "old")

	expectRepaired(t, l.repair(t), 7) // two on the host, three of the container, and both in /all
	for _, path := range []string{"/data/file", "/data/sub/file", "/readonly/file", "/etc/app.ini", "/all/target/file"} {
		expectReads(t, c, path, "new")
	}
	if got := c.Write("/data/written"); got != "" {
		t.Errorf("the container writes: %s", got)
	}
	if got := c.Write("/readonly/written"); got != unix.EROFS.Error() {
		t.Errorf("the container writes to its read-only mount: %q", got)
	}
}

func repairInAChroot(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "kubelet/target")
	c := l.start(t, "root", &Container{Chroot: true, Binds: []string{target + " /data"}})
	expectRepaired(t, l.repair(t), 3) // beside its own, the process has a copy of the host's, outside of its root; that of the client's own stays
	expectReads(t, c, "/data/file", "new")
	expectContent(t, filepath.Join(target, "file"), "new")
}

// TestRepairKeepsWhatHolds: whoever comes after a process that was killed during a repair holds the file system by
// the same mount, and repairs what was left, though no other mount in its own namespace shows it.
func TestRepairKeepsWhatHolds(t *testing.T) {
	l := newLoss(t, isolate(t))
	c := l.container(t, "root", l.old+"/pvc-1 /data", l.old+" /whole") // a bind of its root is not the client's own
	copies := l.start(t, "copies", &Container{Chroot: true})           // has one of the client's own mount
	own := onlyMountAt(t, l.old)
	if report, err := runRepair(t.Context(), new(Repairer), map[*Held]Open{l.held: nil}); err != nil || len(report.Stale) != 2 || left(report) != 2 {
		t.Errorf("with nothing to take its place: %+v, %v", report, err)
	}
	again, err := Hold(l.old)
	must(t, "Hold", err)
	defer again.Close()
	report, err := runRepair(t.Context(), new(Repairer), map[*Held]Open{again: l.open})
	must(t, "Repair", err)
	expectRepaired(t, report, 2)
	expectReads(t, c, "/data/file", "new")
	expectReads(t, c, "/whole/pvc-1/file", "new")
	if got := onlyMountAt(t, l.old); got != own {
		t.Errorf("the mount that holds it has become %+v, from %+v", got, own)
	}
	copies.Stop()
}

func repairBelowInAContainer(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "kubelet/target")
	second := l.bind(t, "pvc-2", "kubelet/target-2")
	other := makeDirs(t, l.dir, "other")[0]
	writeFile(t, filepath.Join(other, "file"), "kept")
	c := l.container(t, "root", target+" /data", other+" /data/below", second+" /data/sub ro", other+"/file /data/sub/file")
	expectRepairedVisible(t, l.repair(t), 3)
	expectReads(t, c, "/data/file", "new")
	expectReads(t, c, "/data/below/file", "kept")
	expectReads(t, c, "/data/sub/file", "kept")
	if got := c.Write("/data/sub/written"); got != unix.EROFS.Error() {
		t.Errorf("the container writes to its read-only mount: %q", got)
	}
}

// expectRepairedVisible is expectRepaired where more is covered than was repaired.
func expectRepairedVisible(t *testing.T, report Report, n int) {
	t.Helper()
	if got := report.Repaired(); got != n || len(report.Stale) != 0 || report.OnTop == 0 && left(report) != 0 {
		t.Errorf("repaired %d, want %d: %+v", got, n, report)
	}
}

// repairOfSharedMounts has the kubelet directory as the host, the node container
// (Bidirectional) and another (HostToContainer) see it.
func repairOfSharedMounts(t *testing.T, l *loss) {
	dirs := makeDirs(t, l.dir, "kubelet", "node", "slave")
	mountTmpfs(t, dirs[0])
	propagate(t, dirs[0], unix.MS_SHARED)
	must(t, "bind", unix.Mount(dirs[0], dirs[1], "", unix.MS_BIND, ""))
	must(t, "bind", unix.Mount(dirs[0], dirs[2], "", unix.MS_BIND, ""))
	propagate(t, dirs[2], unix.MS_SLAVE)
	makeDirs(t, dirs[0], "target")
	must(t, "Bind", Bind(openPath(t, filepath.Join(l.old, "pvc-1")), filepath.Join(dirs[0], "target"), ReadOnly))
	pod := l.container(t, "root", dirs[0]+"/target /data")

	report := l.repair(t)
	if len(report.Stale) != 0 {
		t.Errorf("got %+v", report)
	}
	for _, dir := range dirs {
		target := filepath.Join(dir, "target")
		if got := topAt(t, target); got.Flags != ReadOnly || got.Root != "/pvc-1" || got.Device == l.dead {
			t.Errorf("at %s: %+v", target, got)
		}
		if n := len(mountsAt(t, target)); report.OnTop == 0 && n != 1 {
			t.Errorf("%d mounts at %s: %+v", n, target, mountsAt(t, target))
		}
		expectContent(t, filepath.Join(target, "file"), "new")
	}
	expectReads(t, pod, "/data/file", "new")
	// What kubelet does later reaches them all.
	must(t, "Detach", Detach(filepath.Join(dirs[0], "target")))
	for _, dir := range dirs {
		if left := mountsAt(t, filepath.Join(dir, "target")); len(left) != 0 {
			t.Errorf("after Detach in %s: %+v", dir, left)
		}
	}
}

// repairUnderLoad has processes read all the time: every read finds one file system
// or the other, and nothing that is not read-only takes what they write.
func repairUnderLoad(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	must(t, "remount", unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	stop, last := make(chan struct{}), make(chan struct{})
	seen := map[string]int{}
	reading := inThisNamespace(t, func(ready func()) error {
		for {
			content, err := os.ReadFile(filepath.Join(target, "file"))
			if err != nil {
				return err
			}
			seen[string(content)]++
			if err := os.WriteFile(filepath.Join(target, "written"), nil, 0o600); !errors.Is(err, unix.EROFS) {
				return fmt.Errorf("write: %w", err)
			}
			ready()
			select {
			case <-last:
				return nil
			default:
			}
			select {
			case <-stop:
				close(last) // one more, which certainly began after the repair
			default:
			}
		}
	})
	expectRepaired(t, l.repair(t), 1)
	close(stop)
	must(t, "read", <-reading)
	if len(seen) != 2 || seen["old"] == 0 {
		t.Errorf("the reader has seen %v", seen)
	}
}

func repairWhileContainersComeAndGo(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	stop := make(chan struct{})
	repairing := inThisNamespace(t, func(ready func()) error {
		for {
			report, err := runRepair(t.Context(), &l.repairer, map[*Held]Open{l.held: l.open})
			if err != nil || len(report.Stale) != 0 {
				return fmt.Errorf("%+v: %w", report, err)
			}
			ready()
			select {
			case <-stop:
				return nil
			default:
			}
		}
	})
	for i := range 20 {
		c := l.container(t, fmt.Sprintf("root-%d", i), target+" /data")
		expectReads(t, c, "/data/file", "new")
		c.Stop()
	}
	close(stop)
	must(t, "repair", <-repairing)
}

const containers, bindsEach = 20, 5

func repairHundred(t *testing.T, l *loss) {
	all := l.hundred(t)
	began := time.Now()
	report := l.repair(t)
	t.Logf("%d binds in %d containers (%d namespaces, %d files opened) in %v",
		report.Repaired(), containers, report.Namespaces, l.opens, time.Since(began))
	expectRepaired(t, report, containers*bindsEach)
	for i, c := range all {
		for j := range bindsEach {
			expectReads(t, c, fmt.Sprintf("/data-%d/file", j), "new")
		}
		if i == 0 && l.opens != bindsEach {
			t.Errorf("opened %d times, want once for each root", l.opens)
		}
	}
}

// hundred starts containers that have a hundred binds together, and the host none.
func (l *loss) hundred(t testing.TB) []*Container {
	t.Helper()
	l.volumes(t, bindsEach)
	var binds []string
	for j := range bindsEach {
		binds = append(binds, fmt.Sprintf("%s/volume-%d /data-%d", l.old, j, j))
	}
	var all []*Container
	for i := range containers {
		all = append(all, l.container(t, fmt.Sprintf("root-%d", i), binds...))
	}
	return all
}

func TestRepairNeverAsksTheDeadFileSystem(t *testing.T) {
	for name, mount := range map[string]func(t *testing.T, target string){
		"that does not answer": mountHanging,
		"that is dead":         mountDead,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoss(t, isolate(t))
			dirs := makeDirs(t, l.dir, "own", "target")
			mount(t, dirs[0])
			l.hold(t, dirs[0])
			target := dirs[1]
			must(t, "bind", unix.Mount(dirs[0], target, "", unix.MS_BIND, ""))
			c := l.start(t, "root", &Container{Chroot: true, Binds: []string{l.new + " /unrelated"}}) // and with copies of both dead mounts
			expectRepaired(t, l.repair(t), 2)
			expectContent(t, filepath.Join(target, "pvc-1/file"), "new")
			expectReads(t, c, "/unrelated/pvc-1/file", "new")
		})
	}
}

func TestRepairEndsWithItsContext(t *testing.T) {
	l := newLoss(t, isolate(t))
	target := l.bind(t, "pvc-1", "target")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runRepair(ctx, new(Repairer), map[*Held]Open{l.held: l.open}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	expectContent(t, filepath.Join(target, "file"), "old")
}

func TestRepairLeavesNoDescriptor(t *testing.T) {
	l := newLoss(t, isolate(t))
	target := l.bind(t, "pvc-1", "target")
	l.bind(t, "pvc-1", "missing")
	mountTmpfs(t, filepath.Join(target, "below"))
	l.bind(t, "pvc-1/sub", "stale")
	must(t, "remove", os.RemoveAll(filepath.Join(l.new, "pvc-1/sub")))
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		must(t, "list", err)
		return len(entries)
	}
	descriptors := count("/proc/self/fd")
	for range 5 {
		l.repair(t)
	}
	if got := count("/proc/self/fd"); got != descriptors {
		t.Errorf("%d descriptors, %d before", got, descriptors)
	}
}

func TestAVisitorEndsWithItsThread(t *testing.T) {
	l := newLoss(t, isolate(t))
	l.container(t, "root")
	v, err := newVisitor()
	must(t, "newVisitor", err)
	found, err := v.namespaces()
	must(t, "list the namespaces", err)
	thread := 0
	for _, ns := range found.all {
		err = errors.Join(err, v.do(ns, func() error {
			thread = unix.Gettid()
			return nil
		}))
		ns.close()
	}
	must(t, "visit", err)
	if thread == 0 || thread == unix.Getpid() || thread == unix.Gettid() {
		t.Errorf("visited by thread %d", thread)
	}
	v.close()
	// The kernel takes its time to end a thread.
	testcluster.Eventually(t, 10*time.Second, func() error {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("thread %d lives on: %w", thread, err)
		}
		return nil
	})
}

func TestRepairOnTheFirstThread(t *testing.T) {
	// Whichever goroutine the runtime puts on the first thread of the process, that
	// one must stay in its namespace.
	home, err := os.Readlink("/proc/self/ns/mnt")
	must(t, "readlink", err)
	for range 50 {
		_, err := runRepair(t.Context(), new(Repairer), nil)
		must(t, "Repair", err)
		if got, err := os.Readlink("/proc/self/ns/mnt"); err != nil || got != home {
			t.Fatalf("the process is in %s, not in %s: %v", got, home, err)
		}
	}
}

// BenchmarkRepair repairs a hundred binds in twenty containers, where opening what
// takes their place costs nothing. What took it the last time is dead the next time.
func BenchmarkRepair(b *testing.B) {
	l := newLoss(b, isolate(b))
	l.hundred(b)
	for b.Loop() {
		if report := l.repair(b); report.Beneath != containers*bindsEach || left(report) != 0 {
			b.Fatalf("got %+v", report)
		}
		b.StopTimer()
		l.next(b, bindsEach)
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N*containers), "ms/container")
}
