// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests below are a part of TestBind.

func bindInheritsFlags(t *testing.T, dir string) {
	dirs := makeDirs(t, dir, "client", "target")
	mountTmpfs(t, dirs[0])
	must(t, "remount", unix.Mount("", dirs[0], "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_NODEV|unix.MS_NOSUID, ""))
	must(t, "Bind", Bind(openPath(t, dirs[0]), dirs[1], ReadOnly))
	if got := onlyMountAt(t, dirs[1]).Flags; got != ReadOnly|NoSuid|NoDev {
		t.Errorf("the bind is %s", got)
	}
	if got := onlyMountAt(t, dirs[0]).Flags; got != NoSuid|NoDev {
		t.Errorf("the source has become %s", got)
	}
}

func bindInheritsAtime(t *testing.T, dir string) {
	for option, flag := range map[string]uintptr{
		"relatime":   unix.MS_RELATIME,
		"nodiratime": unix.MS_NODIRATIME | unix.MS_RELATIME,
		"noatime":    unix.MS_NOATIME,
		"":           unix.MS_STRICTATIME,
	} {
		dirs := makeDirs(t, dir, "client-"+option, "kept-"+option, "changed-"+option)
		mountTmpfs(t, dirs[0])
		must(t, "remount", unix.Mount("", dirs[0], "", unix.MS_BIND|unix.MS_REMOUNT|flag, ""))
		fd := openPath(t, dirs[0])

		must(t, "Bind", Bind(fd, dirs[1], ReadOnly))
		if source, got := atimeOptions(t, dirs[0]), atimeOptions(t, dirs[1]); !slices.Equal(got, source) {
			t.Errorf("the bind of %v has %v", source, got)
		}
		must(t, "Bind with NoAtime", Bind(fd, dirs[2], NoAtime))
		if got := atimeOptions(t, dirs[2]); !slices.Contains(got, "noatime") || slices.Contains(got, "relatime") {
			t.Errorf("the bind with NoAtime of %q has %v", option, got)
		}
	}
}

// atimeOptions returns those options of the mount at target that Entry leaves out.
func atimeOptions(t *testing.T, target string) []string {
	t.Helper()
	return slices.DeleteFunc(strings.Split(mountInfoFields(t, target)[5], ","), func(option string) bool {
		return !strings.HasSuffix(option, "atime")
	})
}

func bindFlags(t *testing.T, dir string) {
	source := makeDirs(t, dir, "source")[0]
	program := filepath.Join(source, "program")
	writeFile(t, program, "#!/bin/sh\n")
	must(t, "chmod", os.Chmod(program, 0o755))
	must(t, "mknod", unix.Mknod(filepath.Join(source, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	fd := openPath(t, source)

	all := ReadOnly | NoSuid | NoDev | NoExec | NoAtime
	for _, flags := range []Flags{0, ReadOnly, NoSuid, NoDev, NoExec, NoAtime, ReadOnly | NoExec, all} {
		target := makeDirs(t, dir, fmt.Sprintf("target-%d", flags))[0]
		if err := Bind(fd, target, flags); err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		if got := onlyMountAt(t, target).Flags; got != flags {
			t.Errorf("a bind %s is %s", flags, got)
		}
		for flag, err := range map[Flags]error{
			ReadOnly: unix.Access(target, unix.W_OK),
			NoDev:    openAndClose(filepath.Join(target, "null")),
			NoExec:   unix.Access(filepath.Join(target, "program"), unix.X_OK),
		} {
			if refused := err != nil; refused != (flags&flag != 0) {
				t.Errorf("on a bind %s, what %s forbids ends with %v", flags, flag, err)
			}
		}
	}
	if got := onlyMountAt(t, dir).Flags; got != 0 {
		t.Errorf("the source has become %s", got)
	}
}

func openAndClose(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return file.Close()
}

// bindIsReadOnlyFromTheStart has another thread write at the target all the time.
// What it writes before the bind stays beneath it; nothing may reach the source.
func bindIsReadOnlyFromTheStart(t *testing.T, dir string) {
	source := makeDirs(t, dir, "source")[0]
	fd := openPath(t, source)
	for i := range 20 {
		target := makeDirs(t, dir, fmt.Sprintf("target-%d", i))[0]
		stop := make(chan struct{})
		written := inThisNamespace(t, func(ready func()) error {
			for {
				err := os.WriteFile(filepath.Join(target, "written"), nil, 0o644)
				if err != nil && !errors.Is(err, unix.EROFS) {
					return err
				}
				ready()
				select {
				case <-stop:
					return nil
				default:
				}
			}
		})
		errBind := Bind(fd, target, ReadOnly)
		close(stop)
		must(t, "write", <-written)
		must(t, "Bind", errBind)
	}
	if entries, err := os.ReadDir(source); err != nil || len(entries) != 0 {
		t.Errorf("the source has %v, %v", entries, err)
	}
}

// inThisNamespace runs f on another thread in the namespace of this one, and
// returns once f has called ready or ended. f may call ready many times.
func inThisNamespace(t *testing.T, f func(ready func()) error) <-chan error {
	t.Helper()
	namespace, err := os.Open("/proc/thread-self/ns/mnt")
	must(t, "open the namespace", err)
	started, done := make(chan struct{}, 1), make(chan error, 1)
	ready := func() {
		select {
		case started <- struct{}{}:
		default:
		}
	}
	go func() {
		runtime.LockOSThread()
		err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS))
		if err == nil {
			err = f(ready)
		}
		done <- err
		ready()
	}()
	<-started
	must(t, "close the namespace", namespace.Close())
	return done
}
