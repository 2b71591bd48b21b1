// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The first thread is the main goroutine's alone: /proc/self shows what it sees, so a test that isolates itself on it hides
// from all later ones what they mount (TestAChangeOfTheMountsIsTold).
func init() { runtime.LockOSThread() }

// isolate moves the test into a mount namespace of its own and returns the path
// of a fresh, private tmpfs in it. Nothing that the test mounts is ever seen by
// the host, and the kernel drops all of it with the thread, which ends with the
// test. Each subtest is a goroutine and isolates itself.
func isolate(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	runtime.LockOSThread() // never unlocked, so that the thread is not used again
	must(t, "unshare", unix.Unshare(unix.CLONE_NEWNS))
	must(t, "make / private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	mountTmpfs(t, dir)
	// TempDir could not be removed with a mount on it.
	t.Cleanup(func() { must(t, "unmount the test's tmpfs", unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func mountTmpfs(t testing.TB, target string) {
	t.Helper()
	must(t, "mount a tmpfs", unix.Mount("test", target, "tmpfs", 0, "size=1m"))
}

func propagate(t *testing.T, target string, flag uintptr) {
	t.Helper()
	must(t, "change the propagation of "+target, unix.Mount("", target, "", flag, ""))
}

// makeDirs makes directories below dir and returns their paths.
func makeDirs(t testing.TB, dir string, names ...string) []string {
	t.Helper()
	var paths []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		must(t, "mkdir", os.MkdirAll(path, 0o755))
		paths = append(paths, path)
	}
	return paths
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	must(t, "write", os.WriteFile(path, []byte(content), 0o644))
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, "read", err)
	return string(content)
}

// openPath returns an O_PATH descriptor of path, as callers hand it to Bind.
func openPath(t testing.TB, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, "open "+path, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// mountsAt is At for tests.
func mountsAt(t testing.TB, target string) []Entry {
	t.Helper()
	entries, err := At(target)
	must(t, "list the mounts at "+target, err)
	return entries
}

// onlyMountAt returns the one mount at target.
func onlyMountAt(t testing.TB, target string) Entry {
	t.Helper()
	entries := mountsAt(t, target)
	if len(entries) != 1 {
		t.Fatalf("%d mounts at %s, want 1: %+v", len(entries), target, entries)
	}
	return entries[0]
}

// mountCount counts the mounts of this run. Others of the host are in the namespace of
// a test too, and go when somebody removes their mount points.
func mountCount(t *testing.T) int {
	t.Helper()
	entries, err := List()
	must(t, "list the mounts", err)
	return len(slices.DeleteFunc(entries, func(e Entry) bool { return !strings.HasPrefix(e.Target, os.TempDir()) }))
}

// peerGroups returns the optional fields of the mount at target, which Entry
// leaves out: e.g. "shared:5", "master:2", or "" for a private mount.
func peerGroups(t *testing.T, target string) string {
	t.Helper()
	fields := mountInfoFields(t, target)
	return strings.Join(fields[6:slices.Index(fields, "-")], " ")
}

// mountInfoFields returns the whole line of the mount at target.
func mountInfoFields(t *testing.T, target string) []string {
	t.Helper()
	id := fmt.Sprintf("%d ", onlyMountAt(t, target).ID)
	for line := range strings.Lines(readFile(t, mountInfoPath)) {
		if strings.HasPrefix(line, id) {
			return strings.Fields(line)
		}
	}
	t.Fatalf("mount %s vanished from %s", id, mountInfoPath)
	return nil
}

// mountHanging mounts at target a filesystem that answers nothing, like one whose
// server is stopped: a FUSE whose process never reads a request. Whoever asks it
// something makes the test fail: after ten seconds it dies, so as not to hang it.
func mountHanging(t *testing.T, target string) {
	t.Helper()
	fd := mountFuse(t, target)
	death := time.AfterFunc(10*time.Second, func() { unix.Close(fd) })
	t.Cleanup(func() {
		if !death.Stop() {
			t.Error("a filesystem that does not answer was waited for")
			return
		}
		unix.Close(fd)
	})
}

// mountDead mounts at target a filesystem whose process is gone: ENOTCONN.
func mountDead(t *testing.T, target string) {
	t.Helper()
	must(t, "end the FUSE connection", unix.Close(mountFuse(t, target)))
}

func mountFuse(t *testing.T, target string) (connection int) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, "open /dev/fuse", err)
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	must(t, "mount a FUSE", unix.Mount("test", target, "fuse", 0, options))
	return fd
}

func TestTheVisitorIsNotTakenForAProcessOfAContainer(t *testing.T) {
	c := (&Container{}).Start(t)
	v, err := newVisitor()
	must(t, "start a visitor", err)
	defer v.close()
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", c.PID()))
	must(t, "read the name of the container's namespace", err)
	// find returns the container's namespace among all, which the caller closes.
	find := func() (found *namespace, all []*namespace) {
		set, err := v.namespaces()
		must(t, "list the namespaces", err)
		i := slices.IndexFunc(set.all, func(ns *namespace) bool { return fmt.Sprintf("mnt:[%d]", ns.inode) == name })
		if i < 0 {
			return nil, set.all
		}
		return set.all[i], set.all
	}
	ns, all := find()
	if ns == nil || ns.pid != c.PID() {
		t.Fatalf("the container's namespace is %+v", ns)
	}
	must(t, "visit it", v.do(ns, func() error { return nil }))
	c.Stop()
	left, more := find()
	if left != nil {
		t.Errorf("process %d is said to be in the namespace of a container that has ended; the visitor is thread %s", left.pid, v.thread)
	}
	for _, ns := range append(all, more...) {
		ns.close()
	}
}
