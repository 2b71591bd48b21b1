// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

// inNewNamespace runs f on a thread with a mount namespace of its own; a process that f starts lives in it from then on.
//
// It sees this process's mounts except FUSE mounts and whatever lies below run but not below dir: a mount namespace pins
// what it holds, so a client's mount would not go away, and its process never end, before the server does. Nothing
// propagates in or out.
func inNewNamespace(run, dir string, f func() error) error {
	return thread.Discard(func() error {
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

// inNamespacesOf runs f on a thread in the network and mount namespaces of process pid.
func inNamespacesOf(pid int, f func() error) error {
	return thread.Discard(func() error {
		handle, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return fmt.Errorf("process %d: %w", pid, err)
		}
		defer func() { _ = unix.Close(handle) }()
		// setns(2): a thread that shares its root and working directory with others may not change its mount namespace.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare the working directory: %w", err)
		}
		if err := unix.Setns(handle, unix.CLONE_NEWNET|unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("enter the namespaces of process %d: %w", pid, err)
		}
		return f()
	})
}

// serversVariable is the root directory of another Debian, in which servers run: one with another version of GlusterFS
// than the clients' (hack/gluster-root).
const serversVariable = "GLUSTERFS_CSI_TEST_SERVERS"

// enterServersRoot makes that root the calling thread's, if there is one; the thread has a mount namespace of its own.
// What lies below dir is seen there, too.
func enterServersRoot(dir string) error {
	root := os.Getenv(serversVariable)
	if root == "" {
		return nil
	}
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil { // only a mount may become the root
		return fmt.Errorf("the servers' root %s: %w", root, err)
	}
	for _, shown := range []string{"/dev", "/proc", "/sys", dir} {
		if err := os.MkdirAll(filepath.Join(root, shown), 0o755); err != nil {
			return err
		}
		if err := unix.Mount(shown, filepath.Join(root, shown), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("show %s in the servers' root: %w", shown, err)
		}
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil { // the old root is on top then
		return fmt.Errorf("enter the servers' root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the root before the servers': %w", err)
	}
	return unix.Chdir("/")
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
