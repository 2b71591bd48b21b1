// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// The repair needs open_tree, which qemu-user, where the tests run as arm64, does not know.

package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// nameTimeout is longer than a client lets the kernel believe a name, which is a second.
const nameTimeout = 1500 * time.Millisecond

// staleIn is what was left dead in the mount namespace of a process.
func staleIn(t *testing.T, report Report, pid int) []Stale {
	t.Helper()
	process := strconv.Itoa(pid)
	if pid == os.Getpid() {
		process = "thread-self" // the first thread may be in a namespace of another test's
	}
	link, err := os.Readlink("/proc/" + process + "/ns/mnt")
	must(t, "readlink", err)
	return slices.DeleteFunc(slices.Clone(report.Stale), func(s Stale) bool { return fmt.Sprintf("mnt:[%d]", s.Namespace) != link })
}

// TestRepairWithGlusterFSOnOldKernels: before Linux 6.5 the subPath that the kernel calls deleted can be neither
// covered nor have anything put beneath.
func TestRepairWithGlusterFSOnOldKernels(t *testing.T) {
	for _, kernel := range []oldkernel.Kernel{oldkernel.Linux5_4, oldkernel.Linux6_4} {
		t.Run(kernel.String(), func(t *testing.T) {
			oldkernel.On(t, kernel, func(t *testing.T) {
				t.Run("killed", TestRepairOfAKilledGlusterFSClient)
				t.Run("renamed", TestRepairGoesByWhatWasMounted)
				t.Run("hung", TestRepairDoesNotWaitForAnotherHungClient)
			})
		})
	}
}

// TestRepairGoesByWhatWasMounted: while a client is dead, another node renames a tenant's directory and another
// tenant's takes its path.
func TestRepairGoesByWhatWasMounted(t *testing.T) {
	g := newGluster(t)
	g.write(t, "reuse/a/file", "reuse/a/sub/file", "reuse/b/sub/file", "reuse/kept/file")
	tenant, subPath, kept := g.bind(t, "reuse/a", 0), g.bind(t, "reuse/a/sub", 0), g.bind(t, "reuse/kept", 0)
	pod := (&Container{Root: t.TempDir(), Binds: []string{tenant + " /data", subPath + " /sub", kept + " /kept", kept + " /data/sub"}}).Start(t)
	g.kill(t)
	g.mount(t)
	reuse := filepath.Join(g.client.Path, "reuse")
	must(t, "rename", errors.Join(os.Rename(reuse+"/a", reuse+"/trash"), os.Rename(reuse+"/b", reuse+"/a")))
	writeFile(t, filepath.Join(reuse, "a/file"), "of tenant b")

	report, err := runRepair(t.Context(), &g.repairer, map[*Held]Open{g.held: g.open})
	must(t, "Repair", err)
	for path, want := range map[string]string{
		"/data/file": unix.ENOTCONN.Error(), "/sub/file": unix.ENOTCONN.Error(), "/kept/file": "kept",
	} {
		expectReads(t, pod, path, want)
	}
	stale := staleIn(t, report, pod.PID())
	if len(stale) != 2 {
		t.Errorf("got %+v", stale)
	}
	for _, s := range stale {
		if !errors.Is(s.Err, unix.ESTALE) {
			t.Errorf("got %+v, want ESTALE", s)
		}
	}
	// What went away may come back, as when a deletion is undone.
	must(t, "rename", errors.Join(os.Rename(reuse+"/a", reuse+"/b"), os.Rename(reuse+"/trash", reuse+"/a")))
	_, err = runRepair(t.Context(), &g.repairer, map[*Held]Open{g.held: g.open})
	must(t, "Repair", err)
	for path, want := range map[string]string{"/data/file": "a", "/sub/file": "sub", "/data/sub/file": "kept"} {
		expectReads(t, pod, path, want)
	}
}

func TestRepairOfAKilledGlusterFSClient(t *testing.T) {
	g := newGluster(t)
	g.write(t, "repair/pvc-1/file", "repair/pvc-1/sub/file", "repair/pvc-1/app.ini", "repair/pvc-1/cache/covered", "repair/pvc-2/file", "repair/pvc-3/file")
	volume, readOnly := g.bind(t, "repair/pvc-1", 0), g.bind(t, "repair/pvc-2", ReadOnly|NoSuid)
	subPath, file := g.bind(t, "repair/pvc-1/sub", 0), g.bind(t, "repair/pvc-1/app.ini", 0)
	gone := g.bind(t, "repair/pvc-3", 0)
	emptyDir := t.TempDir()
	writeFile(t, filepath.Join(emptyDir, "file"), "of the emptyDir")
	pod := (&Container{Root: t.TempDir(), Binds: []string{
		volume + " /data", emptyDir + " /data/cache", readOnly + " /readonly", subPath + " /sub", file + " /etc/app.ini", gone + " /gone",
	}}).Start(t)
	nested := (&Container{Root: t.TempDir(), Binds: []string{volume + " /data", readOnly + " /data/cache"}}).Start(t)
	g.forget(t, volume)

	g.kill(t)
	if _, err := os.Stat(filepath.Join(volume, "sub")); !errors.Is(err, unix.ENOTCONN) {
		t.Fatalf("the client is dead, but: %v", err)
	}
	t.Logf("after somebody walked through the dead mount, mountinfo shows the subPath as %s", onlyMountAt(t, subPath).Root)
	expectReads(t, pod, "/data/file", unix.ENOTCONN.Error())
	g.mount(t)
	must(t, "remove", os.RemoveAll(filepath.Join(g.client.Path, "repair/pvc-3")))

	began := time.Now()
	report, err := runRepair(t.Context(), &g.repairer, map[*Held]Open{g.held: g.open})
	took := time.Since(began)
	must(t, "Repair", err)
	t.Logf("%+v in %v, %v each", report, took, took/time.Duration(max(report.Repaired(), 1)))
	// The host's and the pods'; what lies below in a pod comes with it. Whoever else on this machine has made a mount
	// namespace meanwhile has copies of the host's.
	if report.Repaired() < 9 {
		t.Errorf("got %+v", report)
	}
	for target, stale := range map[string][]Stale{gone: staleIn(t, report, os.Getpid()), "/gone": staleIn(t, report, pod.PID())} {
		if len(stale) != 1 || stale[0].Target != target || !errors.Is(stale[0].Err, unix.ENOENT) {
			t.Errorf("got %+v, want %s, missing", stale, target)
		}
	}
	if stale := staleIn(t, report, nested.PID()); len(stale) != 0 {
		t.Errorf("got %+v", stale)
	}
	for _, target := range []string{volume, readOnly, subPath, file} {
		if stack := mountsAt(t, target); len(stack) > 2 || stack[len(stack)-1].Device == g.held.Device() {
			t.Errorf("at %s: %+v", target, stack)
		}
	}
	for path, want := range map[string]string{
		"/data/file": "pvc-1", "/data/sub/file": "sub", "/readonly/file": "pvc-2", "/sub/file": "sub",
		"/etc/app.ini": "pvc-1", "/data/cache/file": "of the emptyDir", "/gone/file": unix.ENOTCONN.Error(),
	} {
		expectReads(t, pod, path, want)
	}
	expectReads(t, nested, "/data/file", "pvc-1")
	expectReads(t, nested, "/data/cache/file", "pvc-2")
	for c, path := range map[*Container]string{pod: "/data/written", nested: "/data/written"} {
		if got := c.Write(path); got != "" {
			t.Errorf("write: %s", got)
		}
	}
	for c, path := range map[*Container]string{pod: "/readonly/written", nested: "/data/cache/written"} {
		if got := c.Write(path); got != unix.EROFS.Error() {
			t.Errorf("write to a read-only mount: %q", got)
		}
	}
}

func TestRepairDoesNotWaitForAnotherHungClient(t *testing.T) {
	g := newGluster(t)
	g.write(t, "hung/pvc-1/file", "hung/pvc-1/sub/file", "hung/pvc-2/file")
	hung, err := testcluster.Shared(t, testcluster.Options{}).Mount(t.Context(), "gv0")
	must(t, "mount", err)
	t.Cleanup(func() { must(t, "close", hung.Close()) })
	target := g.bind(t, "hung/pvc-2", 0)
	pod := (&Container{Root: t.TempDir(), Binds: []string{hung.Path + "/hung/pvc-1 /data", target + " /data/sub"}}).Start(t)
	later := g.bind(t, "hung/pvc-2", 0)
	way := openPath(t, filepath.Join(hung.Path, "hung/pvc-1"))
	g.kill(t)
	g.mount(t)
	must(t, "stop", hung.Stop())
	stopped := time.Now()
	testcluster.Eventually(t, 10*time.Second, func() error {
		fd, err := walk(way, "sub", false)
		switch {
		case err == nil:
			unix.Close(fd)
			return errors.New("the kernel still knows the name")
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOSYS) && time.Since(stopped) > nameTimeout:
			return nil
		}
		return fmt.Errorf("it may still know the name: %w", err)
	})

	// The second does not even ask the hung one, and others all the same.
	mountTmpfs(t, later)
	for round, why := range []string{"", "an earlier walk"} {
		report, err := runRepair(t.Context(), &g.repairer, map[*Held]Open{g.held: g.open})
		must(t, "Repair", err)
		stale := staleIn(t, report, pod.PID())
		if len(stale) != 1 || stale[0].Target != "/data/sub" || !errors.Is(stale[0].Err, unix.ETIMEDOUT) || !strings.Contains(stale[0].Err.Error(), why) {
			t.Errorf("got %+v, want /data/sub, which does not answer, %q", stale, why)
		}
		if round == 0 {
			expectContent(t, filepath.Join(target, "file"), "pvc-2")
			must(t, "uncover", unix.Unmount(later, 0))
		}
	}
	expectContent(t, filepath.Join(later, "file"), "pvc-2")

	must(t, "continue", hung.Continue())
	testcluster.Eventually(t, 10*time.Second, func() error {
		report, err := runRepair(t.Context(), &g.repairer, map[*Held]Open{g.held: g.open})
		if stale := staleIn(t, report, pod.PID()); err == nil && len(stale) != 0 {
			err = stale[0].Err
		}
		return err
	})
	expectReads(t, pod, "/data/sub/file", "pvc-2")
}

// gluster is a client to be killed, and then the one that takes its place.
type gluster struct {
	client   *testcluster.RawMount
	held     *Held
	repairer Repairer
}

func newGluster(t *testing.T) *gluster {
	t.Helper()
	g := &gluster{}
	g.mount(t)
	return g
}

func (g *gluster) mount(t *testing.T) {
	t.Helper()
	began := time.Now()
	client, err := testcluster.Shared(t, testcluster.Options{}).Mount(t.Context(), "gv0")
	must(t, "mount", err)
	t.Logf("a client started in %v", time.Since(began))
	g.client = client
	t.Cleanup(func() { must(t, "close", client.Close()) })
}

func (g *gluster) kill(t *testing.T) {
	t.Helper()
	held, err := Hold(g.client.Path)
	must(t, "Hold", err)
	g.held = held
	t.Cleanup(func() { must(t, "close", held.Close()) })
	must(t, "kill", g.client.Kill())
	must(t, "Detach", Detach(g.client.Path))
}

// write makes files that say in which directory they are.
func (g *gluster) write(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		path = filepath.Join(g.client.Path, path)
		must(t, "mkdir", os.MkdirAll(filepath.Dir(path), 0o755))
		writeFile(t, path, filepath.Base(filepath.Dir(path)))
	}
}

func (g *gluster) bind(t *testing.T, root string, flags Flags) string {
	t.Helper()
	source, target := filepath.Join(g.client.Path, root), filepath.Join(t.TempDir(), "target")
	if stat, err := os.Stat(source); err != nil || stat.IsDir() {
		must(t, "mkdir", os.Mkdir(target, 0o755))
	} else {
		writeFile(t, target, "")
	}
	must(t, "Bind", Bind(openPath(t, source), target, flags))
	t.Cleanup(func() { must(t, "Detach", Detach(target)) })
	return target
}

// forget has the kernel forget names in directory, while it keeps its attributes in
// mind, so that a walk through it ends at the name, not before.
func (g *gluster) forget(t *testing.T, directory string) {
	t.Helper()
	began := time.Now()
	testcluster.Eventually(t, 10*time.Second, func() error {
		if _, err := os.Stat(directory); err != nil {
			return err
		}
		if time.Since(began) < nameTimeout {
			return errors.New("the kernel still knows the names")
		}
		return nil
	})
}

func (g *gluster) open(root string) (int, error) {
	directory, err := safepath.OpenRoot(g.client.Path)
	if err != nil {
		return -1, err
	}
	defer directory.Close()
	return directory.OpenAny(root)
}
