// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// The repair needs open_tree, which qemu-user, where the tests run as arm64, does not know.

package mount

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// nameTimeout is longer than a client lets the kernel believe a name, which is a second.
const nameTimeout = 1500 * time.Millisecond

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
	report, err := Repair(t.Context(), map[*Held]Open{g.held: g.open})
	took := time.Since(began)
	must(t, "Repair", err)
	t.Logf("%d mounts in %v, %v each", report.Beneath, took, took/time.Duration(report.Beneath))
	// The host's and the pods'; what lies below in a pod comes with it.
	if report.Beneath != 9 || report.OnTop != 0 || left(report) != 2 || len(report.Stale) != 2 {
		t.Errorf("got %+v", report)
	}
	for i, target := range []string{gone, "/gone"} {
		if len(report.Stale) == 2 && (report.Stale[i].Target != target || !errors.Is(report.Stale[i].Err, unix.ENOENT)) {
			t.Errorf("got %+v, want %s, missing", report.Stale[i], target)
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
	way := openPath(t, filepath.Join(hung.Path, "hung/pvc-1"))
	g.kill(t)
	g.mount(t)
	must(t, "stop", hung.Stop())
	testcluster.Eventually(t, 10*time.Second, func() error {
		fd, err := walk(way, "sub", false)
		if err == nil {
			unix.Close(fd)
			return errors.New("the kernel still knows the name")
		}
		if !errors.Is(err, unix.EAGAIN) {
			return err
		}
		return nil
	})

	for _, tc := range []struct {
		within time.Duration
		others int
	}{{2 * askTimeout, 1}, {askTimeout / 2, 0}} { // the second does not even ask
		began := time.Now()
		report, err := Repair(t.Context(), map[*Held]Open{g.held: g.open})
		must(t, "Repair", err)
		if took := time.Since(began); took > tc.within || report.Beneath != tc.others {
			t.Errorf("took %v: %+v", took, report)
		}
		expectStale(t, report, "/data/sub", unix.ETIMEDOUT)
	}
	expectContent(t, filepath.Join(target, "file"), "pvc-2")

	must(t, "continue", hung.Continue())
	testcluster.Eventually(t, 10*time.Second, func() error {
		report, err := Repair(t.Context(), map[*Held]Open{g.held: g.open})
		if err == nil && left(report) != 0 {
			err = report.Stale[0].Err
		}
		return err
	})
	expectReads(t, pod, "/data/sub/file", "pvc-2")
}

// gluster is a client to be killed, and then the one that takes its place.
type gluster struct {
	client *testcluster.RawMount
	held   *Held
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
	directory, err := unix.Open(g.client.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(directory)
	return unix.Openat2(directory, strings.TrimPrefix(root, "/"), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
}
