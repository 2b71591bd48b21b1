// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDetach(t *testing.T) {
	for _, tc := range []struct{ name, target string }{
		{"a plain name", "mount"},
		{"blanks and tabs", " a b\tc "},
		{"a newline and a backslash", "a\nb\\c\\040"},
		{"letters beyond ASCII", "Größe-卷"},
		{"bytes that are no UTF-8", "\xff\xfe"},
		{"a name that looks like a removed file", "mount (deleted)"},
		{"a name that looks like the separator", "-"},
		{"the longest name", strings.Repeat("x", 255)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target := makeDirs(t, isolate(t), tc.target)[0]
			mountTmpfs(t, target)
			onlyMountAt(t, target)
			must(t, "Detach", Detach(target))
			if entries := mountsAt(t, target); len(entries) != 0 {
				t.Errorf("still mounted: %+v", entries)
			}
			must(t, "remove the mount point", os.Remove(target))
		})
	}
}

func TestDetachRemovesEveryMountOfAStack(t *testing.T) {
	target := makeDirs(t, isolate(t), "stack")[0]
	before := mountCount(t)
	for range 20 {
		mountTmpfs(t, target)
	}
	must(t, "Detach", Detach(target))
	if after := mountCount(t); after != before {
		t.Errorf("%d mounts, %d before", after, before)
	}
}

func TestDetachTakesAlongWhatIsMountedBelow(t *testing.T) {
	target := makeDirs(t, isolate(t), "mount")[0]
	before := mountCount(t)
	mountTmpfs(t, target)
	mountTmpfs(t, makeDirs(t, target, "below")[0])
	must(t, "Detach", Detach(target))
	if after := mountCount(t); after != before {
		t.Errorf("%d mounts, %d before", after, before)
	}
}

func TestDetachOfNothingSucceeds(t *testing.T) {
	dir := isolate(t)
	plain := makeDirs(t, dir, "plain")[0]
	writeFile(t, filepath.Join(plain, "file"), "kept")
	for name, target := range map[string]string{
		"a directory that is no mount point": plain,
		"a file":                             filepath.Join(plain, "file"),
		"a path that does not exist":         filepath.Join(dir, "absent"),
		"a parent that does not exist":       filepath.Join(dir, "absent/absent"),
	} {
		if err := Detach(target); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := readFile(t, filepath.Join(plain, "file")); got != "kept" {
		t.Errorf("the file has %q", got)
	}
	onlyMountAt(t, dir)
}

func TestDetachRefusesARelativePath(t *testing.T) {
	if err := Detach("mnt"); err == nil {
		t.Error("no error")
	}
}

func TestDetachWorksWhileFilesAreOpen(t *testing.T) {
	target := makeDirs(t, isolate(t), "mount")[0]
	mountTmpfs(t, target)
	file, err := os.Create(filepath.Join(target, "file"))
	must(t, "create", err)
	defer file.Close()
	must(t, "Detach", Detach(target))
	if entries := mountsAt(t, target); len(entries) != 0 {
		t.Errorf("still mounted: %+v", entries)
	}
	if _, err := file.WriteString("on"); err != nil {
		t.Errorf("the open file is no longer writable: %v", err)
	}
}

func TestDetachFollowsLinksOfParentsOnly(t *testing.T) {
	dir := isolate(t)
	targets := makeDirs(t, dir, "disk/through-parent", "disk/through-itself")
	for _, target := range targets {
		mountTmpfs(t, target)
	}
	must(t, "symlink", os.Symlink("disk", filepath.Join(dir, "kubelet")))
	must(t, "symlink", os.Symlink(targets[1], filepath.Join(dir, "link")))

	must(t, "Detach", Detach(filepath.Join(dir, "kubelet/through-parent")))
	if entries := mountsAt(t, targets[0]); len(entries) != 0 {
		t.Errorf("still mounted: %+v", entries)
	}
	must(t, "Detach", Detach(filepath.Join(dir, "link")))
	onlyMountAt(t, targets[1])
}

func TestDetachReachesThePeersOfASharedParent(t *testing.T) {
	dir := isolate(t)
	dirs := makeDirs(t, dir, "kubelet", "host")
	mountTmpfs(t, dirs[0])
	propagate(t, dirs[0], unix.MS_SHARED)
	must(t, "bind", unix.Mount(dirs[0], dirs[1], "", unix.MS_BIND, ""))
	target := makeDirs(t, dirs[0], "mount")[0]
	mountTmpfs(t, target)
	onlyMountAt(t, filepath.Join(dirs[1], "mount"))

	must(t, "Detach", Detach(target))
	if entries := mountsAt(t, filepath.Join(dirs[1], "mount")); len(entries) != 0 {
		t.Errorf("still mounted in the peer: %+v", entries)
	}
}

func TestDetachSaysSoIfAnotherMountCoversTheParent(t *testing.T) {
	parent := makeDirs(t, isolate(t), "parent")[0]
	target := makeDirs(t, parent, "mount")[0]
	mountTmpfs(t, target)
	mountTmpfs(t, parent)
	makeDirs(t, parent, "mount")

	if err := Detach(target); !errors.Is(err, unix.EINVAL) {
		t.Errorf("got %v, want EINVAL", err)
	}
	must(t, "Detach the cover", Detach(parent))
	must(t, "Detach", Detach(target))
	if entries := mountsAt(t, target); len(entries) != 0 {
		t.Errorf("still mounted: %+v", entries)
	}
}

func TestDetachNeverAsksTheFilesystem(t *testing.T) {
	for name, mount := range map[string]func(t *testing.T, target string){
		"that does not answer": mountHanging,
		"that is dead":         mountDead,
	} {
		t.Run(name, func(t *testing.T) {
			target := makeDirs(t, isolate(t), "mount")[0]
			mount(t, target)
			mount(t, target)
			must(t, "Detach", Detach(target))
			if entries := mountsAt(t, target); len(entries) != 0 {
				t.Errorf("still mounted: %+v", entries)
			}
		})
	}
}
