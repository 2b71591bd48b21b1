// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// inNewNamespace runs f on a thread with a mount namespace of its own; a process that f starts lives in it from then on.
//
// It sees this process's mounts except FUSE mounts and whatever lies below run but not below dir: a mount namespace pins
// what it holds, so a client's mount would not go away, and its process never end, before the server does. Nothing
// propagates in or out.
func inNewNamespace(run, dir string, f func() error) error {
	return onThrowawayThread(func() error {
		if err := privateNamespace(); err != nil {
			return err
		}
		if err := detachForeign(func(at string) bool { return isBelow(at, run) && !isBelow(at, dir) }); err != nil {
			return err
		}
		return f()
	})
}

// privateNamespace gives the calling thread, which must be a throwaway one, a mount namespace of its own.
func privateNamespace() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare the mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make all mounts private: %w", err)
	}
	return nil
}

// inNamespaceOf runs f on a thread in the mount namespace of process pid.
func inNamespaceOf(pid int, f func() error) error {
	return onThrowawayThread(func() error {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("mount namespace of process %d: %w", pid, err)
		}
		defer func() { _ = unix.Close(fd) }()
		// setns(2): a thread that shares its root and working directory with others may not change its mount namespace.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare the working directory: %w", err)
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("enter the mount namespace of process %d: %w", pid, err)
		}
		return f()
	})
}

// onThrowawayThread runs f on an operating system thread that is never used again. It is never the main thread: that one
// cannot end, and /proc/self means it.
func onThrowawayThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			done <- onThrowawayThread(f) // this goroutine occupies the main thread meanwhile
			return
		}
		done <- f()
	}()
	return <-done
}

// detachForeign detaches, in the calling thread's mount namespace, what isForeign says of and every FUSE mount.
func detachForeign(isForeign func(mountpoint string) bool) error {
	table, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return err
	}
	defer func() { _ = table.Close() }()
	mounts, err := mountinfo.GetMountsFromReader(table, nil)
	if err != nil {
		return fmt.Errorf("/proc/thread-self/mountinfo: %w", err)
	}
	for _, m := range mounts {
		if strings.HasPrefix(m.FSType, "fuse") || isForeign(m.Mountpoint) {
			// Fails for a mount that went with its parent, and only then. Parents come first in the table, so no
			// path leads through a FUSE file system.
			_ = unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	}
	return nil
}

// detachBelow lazily unmounts everything at or below dir in this process's namespace, and reports what stays.
func detachBelow(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		_ = unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) // judged by what is left
	}
	left, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("still mounted: %s (and %d more)", left[0].Mountpoint, len(left)-1)
	}
	return nil
}

func mountsBelow(dir string) ([]*mountinfo.Info, error) {
	return mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		// The kernel writes //deleted behind a mount point that somebody removed.
		return !isBelow(strings.TrimSuffix(m.Mountpoint, "//deleted"), dir), false
	})
}

// isBelow says that path is dir or lies below it. Both are clean and absolute.
func isBelow(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, filepath.Clean(dir)+"/")
}
