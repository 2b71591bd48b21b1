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

// TestBind has no new mount API where the kernel has none, e.g. under qemu-user:
// whatever it checks holds for both ways of binding.
func TestBind(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, dir string){
		"shows the directory of the descriptor":             bindShowsTheDirectory,
		"binds a file onto a file":                          bindOfAFile,
		"follows the descriptor through a rename":           bindOfARenamedDirectory,
		"stacks onto what is mounted already":               bindOntoAMount,
		"goes on top of a mount that does not answer":       bindOntoAHangingMount,
		"goes on top of a dead mount":                       bindOntoADeadMount,
		"works at a target with an odd name":                bindAtAnOddName,
		"leaves the mounts below the directory behind":      bindIsNotRecursive,
		"is no peer of a shared source":                     bindIsNoPeerOfItsSource,
		"is private below a private parent":                 bindBelowAPrivateParent,
		"reaches peers and slaves of a shared parent":       bindBelowASharedParent,
		"keeps the restrictions of its source":              bindInheritsFlags,
		"keeps the atime mode of its source":                bindInheritsAtime,
		"is never writable if read-only, not for a moment":  bindIsReadOnlyFromTheStart,
		"refuses and leaves nothing behind":                 bindRefuses,
		"survives the removal of what it was made from":     bindOutlivesTheDescriptor,
		"takes a target whose parent is a symbolic link":    bindBelowALinkedParent,
		"has exactly the flags it is given, and they apply": bindFlags,
	} {
		t.Run(name, func(t *testing.T) { test(t, isolate(t)) })
	}
}

func bindShowsTheDirectory(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "fs/volume", "target")
	writeFile(t, filepath.Join(dirs[0], "file"), "data")
	before := mountCount(t)

	must(t, "Bind", Bind(openPath(t, dirs[0]), dirs[1], 0))

	if got := readFile(t, filepath.Join(dirs[1], "file")); got != "data" {
		t.Errorf("the file has %q", got)
	}
	source, target := onlyMountAt(t, dir), onlyMountAt(t, dirs[1])
	if target.Root != "/fs/volume" || target.Device != source.Device || target.Flags != 0 || target.Parent != source.ID {
		t.Errorf("bind of %+v is %+v", source, target)
	}
	if after := mountCount(t); after != before+1 {
		t.Errorf("%d mounts, %d before", after, before)
	}
}

func bindOfAFile(t *testing.T, dir string) {
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	writeFile(t, source, "data")
	writeFile(t, target, "covered")
	must(t, "Bind", Bind(openPath(t, source), target, ReadOnly))
	if got := readFile(t, target); got != "data" {
		t.Errorf("the file has %q", got)
	}
	if err := os.WriteFile(target, nil, 0); !errors.Is(err, unix.EROFS) {
		t.Errorf("write: %v, want EROFS", err)
	}
}

func bindOfARenamedDirectory(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "volume", "target")
	writeFile(t, filepath.Join(dirs[0], "file"), "data")
	fd := openPath(t, dirs[0])
	must(t, "rename", os.Rename(dirs[0], filepath.Join(dir, "renamed")))
	makeDirs(t, dir, "volume") // what a path would now lead to
	must(t, "Bind", Bind(fd, dirs[1], 0))
	if got := onlyMountAt(t, dirs[1]).Root; got != "/renamed" {
		t.Errorf("the root is %s", got)
	}
}

func bindOntoAMount(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "first", "second", "target")
	must(t, "Bind", Bind(openPath(t, dirs[0]), dirs[2], 0))
	must(t, "Bind", Bind(openPath(t, dirs[1]), dirs[2], 0))
	stack := mountsAt(t, dirs[2])
	if len(stack) != 2 || stack[0].Root != "/first" || stack[1].Root != "/second" {
		t.Errorf("got %+v", stack)
	}
}

func bindOntoAHangingMount(t *testing.T, dir string) { bindOntoALostMount(t, dir, mountHanging) }
func bindOntoADeadMount(t *testing.T, dir string)    { bindOntoALostMount(t, dir, mountDead) }

func bindOntoALostMount(t *testing.T, dir string, lose func(t *testing.T, target string)) {
	dirs := makeDirs(t, dir, "source", "target")
	lose(t, dirs[1])
	must(t, "Bind", Bind(openPath(t, dirs[0]), dirs[1], ReadOnly))
	stack := mountsAt(t, dirs[1])
	if len(stack) != 2 || stack[0].FSType != "fuse" || stack[1].Root != "/source" {
		t.Errorf("got %+v", stack)
	}
}

func bindAtAnOddName(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "a \\040\n,b=ä", "c \\040\n,d=卷")
	must(t, "Bind", Bind(openPath(t, dirs[0]), dirs[1], ReadOnly))
	if e := onlyMountAt(t, dirs[1]); e.Root != "/a \\040\n,b=ä" || e.Flags != ReadOnly {
		t.Errorf("got %+v", e)
	}
}

func bindIsNotRecursive(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "volume/below", "target")
	mountTmpfs(t, dirs[0])
	writeFile(t, filepath.Join(dirs[0], "file"), "of the mount below")
	must(t, "Bind", Bind(openPath(t, filepath.Join(dir, "volume")), dirs[1], 0))
	below := filepath.Join(dirs[1], "below")
	if entries := mountsAt(t, below); len(entries) != 0 {
		t.Errorf("came along: %+v", entries)
	}
	if _, err := os.Stat(filepath.Join(below, "file")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat of a file in the mount below: %v", err)
	}
}

func bindIsNoPeerOfItsSource(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "volume/below", "target")
	propagate(t, dir, unix.MS_SHARED)
	must(t, "Bind", Bind(openPath(t, filepath.Join(dir, "volume")), dirs[1], 0))

	// The source is the parent too. So it is shared, but in another group.
	source, target := peerGroups(t, dir), peerGroups(t, dirs[1])
	if source == target || !strings.HasPrefix(target, "shared:") || strings.Contains(target, "master") {
		t.Errorf("the source is %q, the bind %q", source, target)
	}
	mountTmpfs(t, dirs[0])
	if entries := mountsAt(t, filepath.Join(dirs[1], "below")); len(entries) != 0 {
		t.Errorf("a mount below the source shows in the bind: %+v", entries)
	}
}

func bindBelowAPrivateParent(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "client", "target")
	mountTmpfs(t, dirs[0])
	propagate(t, dirs[0], unix.MS_SHARED)
	must(t, "Bind", Bind(openPath(t, dirs[0]), dirs[1], 0))
	if got := peerGroups(t, dirs[1]); got != "" {
		t.Errorf("the bind is %q, want private", got)
	}
}

// bindBelowASharedParent is the kubelet directory as the node container has it
// (Bidirectional), the host, and a container of HostToContainer.
func bindBelowASharedParent(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "kubelet", "host", "container", "client/volume")
	kubelet, host, container, volume := dirs[0], dirs[1], dirs[2], dirs[3]
	mountTmpfs(t, kubelet)
	propagate(t, kubelet, unix.MS_SHARED)
	must(t, "bind", unix.Mount(kubelet, host, "", unix.MS_BIND, ""))
	must(t, "bind", unix.Mount(kubelet, container, "", unix.MS_BIND, ""))
	propagate(t, container, unix.MS_SLAVE)
	makeDirs(t, kubelet, "target/below")

	must(t, "Bind", Bind(openPath(t, volume), filepath.Join(kubelet, "target"), ReadOnly|NoSuid))

	for _, where := range []string{kubelet, host, container} {
		e := onlyMountAt(t, filepath.Join(where, "target"))
		if e.Root != "/client/volume" || e.Flags != ReadOnly|NoSuid {
			t.Errorf("in %s: %+v", where, e)
		}
	}
	own, ofHost := peerGroups(t, filepath.Join(kubelet, "target")), peerGroups(t, filepath.Join(host, "target"))
	ofContainer := peerGroups(t, filepath.Join(container, "target"))
	if !strings.HasPrefix(own, "shared:") || ofHost != own || ofContainer != strings.Replace(own, "shared", "master", 1) {
		t.Errorf("the bind is %q, on the host %q, in the container %q", own, ofHost, ofContainer)
	}
	must(t, "Detach", Detach(filepath.Join(kubelet, "target")))
	for _, where := range []string{host, container} {
		if entries := mountsAt(t, filepath.Join(where, "target")); len(entries) != 0 {
			t.Errorf("after Detach in %s: %+v", where, entries)
		}
	}
}

func bindRefuses(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "source", "target")
	file := filepath.Join(dir, "file")
	writeFile(t, file, "")
	must(t, "symlink", os.Symlink("target", filepath.Join(dir, "link")))
	directory := openPath(t, dirs[0])
	before := mountCount(t)
	for name, tc := range map[string]struct {
		fd     int
		target string
	}{
		"a target that does not exist":   {directory, filepath.Join(dir, "absent")},
		"a directory onto a file":        {directory, file},
		"a file onto a directory":        {openPath(t, file), dirs[1]},
		"a target that is a link":        {directory, filepath.Join(dir, "link")},
		"a descriptor that is not open":  {1 << 20, dirs[1]},
		"a descriptor that is negative":  {-1, dirs[1]},
		"a target below the file":        {directory, filepath.Join(file, "x")},
		"a target that is an empty path": {directory, ""},
	} {
		if err := Bind(tc.fd, tc.target, ReadOnly); err == nil {
			t.Errorf("%s: no error", name)
		}
		if after := mountCount(t); after != before {
			t.Errorf("%s: %d mounts, %d before", name, after, before)
		}
	}
	if err := Bind(directory, filepath.Join(dir, "absent"), 0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want ENOENT", err)
	}
}

func bindOutlivesTheDescriptor(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "client", "target")
	mountTmpfs(t, dirs[0])
	writeFile(t, filepath.Join(dirs[0], "file"), "data")
	fd, err := unix.Open(dirs[0], unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, "open", err)
	must(t, "Bind", Bind(fd, dirs[1], 0))
	must(t, "close", unix.Close(fd))
	must(t, "Detach", Detach(dirs[0]))
	if got := readFile(t, filepath.Join(dirs[1], "file")); got != "data" {
		t.Errorf("the file has %q", got)
	}
}

func bindBelowALinkedParent(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "source", "disk/target")
	must(t, "symlink", os.Symlink("disk", filepath.Join(dir, "kubelet")))
	must(t, "Bind", Bind(openPath(t, dirs[0]), filepath.Join(dir, "kubelet/target"), 0))
	onlyMountAt(t, dirs[1])
}
