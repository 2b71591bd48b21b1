// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListIsOfTheCallingThreadsNamespace(t *testing.T) {
	dir := isolate(t)
	if own := onlyMountAt(t, dir); own.FSType != "tmpfs" || own.Source != "test" || own.Root != "/" {
		t.Errorf("the tmpfs of the test is listed as %+v", own)
	}
	outside := make(chan []Entry)
	go func() {
		entries, _ := At(dir)
		outside <- entries
	}()
	if entries := <-outside; len(entries) != 0 {
		t.Errorf("a thread outside sees %+v", entries)
	}
}

func TestAtNumbersTheDeviceAsStatDoes(t *testing.T) {
	dir := isolate(t)
	var stat unix.Stat_t
	must(t, "stat", unix.Stat(dir, &stat))
	want := Device{unix.Major(stat.Dev), unix.Minor(stat.Dev)}
	if got := onlyMountAt(t, dir).Device; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAtFindsNothing(t *testing.T) {
	dir := isolate(t)
	makeDirs(t, dir, "plain")
	for name, target := range map[string]string{
		"at a directory that is no mount point":      filepath.Join(dir, "plain"),
		"at a path that does not exist":              filepath.Join(dir, "absent"),
		"below a directory that does not exist":      filepath.Join(dir, "absent/absent"),
		"at a path of which a mount point is a part": dir + "2",
	} {
		if entries := mountsAt(t, target); len(entries) != 0 {
			t.Errorf("%s: got %+v", name, entries)
		}
	}
}

func TestAtFollowsLinksOfParentsOnly(t *testing.T) {
	dir := isolate(t)
	target := makeDirs(t, dir, "disk/kubelet/mount")[0]
	mountTmpfs(t, target)
	must(t, "symlink", os.Symlink("disk/kubelet", filepath.Join(dir, "kubelet")))
	must(t, "symlink", os.Symlink("disk/kubelet/mount", filepath.Join(dir, "link")))

	if got := onlyMountAt(t, filepath.Join(dir, "kubelet/mount")); got.Target != target {
		t.Errorf("found %+v, want the mount at %s", got, target)
	}
	if entries := mountsAt(t, filepath.Join(dir, "link")); len(entries) != 0 {
		t.Errorf("a link to a mount point is taken for one: %+v", entries)
	}
}

func TestAtListsAStackFromTheBottom(t *testing.T) {
	dir := isolate(t)
	target := makeDirs(t, dir, "stack")[0]
	for range 3 {
		mountTmpfs(t, target)
	}
	stack := mountsAt(t, target)
	if len(stack) != 3 || stack[1].Parent != stack[0].ID || stack[2].Parent != stack[1].ID {
		t.Fatalf("not three mounts, each on the one before: %+v", stack)
	}
	var stat unix.Stat_t
	must(t, "stat", unix.Stat(target, &stat))
	if top := stack[2].Device.Minor; top != unix.Minor(stat.Dev) {
		t.Errorf("the last has minor %d, but the path reaches %d", top, unix.Minor(stat.Dev))
	}
}
