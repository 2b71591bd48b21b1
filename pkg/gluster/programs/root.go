// SPDX-License-Identifier: Apache-2.0

package programs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// versionFile is in a client's root, and says which Copy it has.
const versionFile = "glusterfs-version"

// What the root of a client has.
var (
	// rootDirs are directories in memory, for what GlusterFS may write or look for.
	rootDirs = []string{usr, "proc", "dev", "etc", "run/gluster", "tmp", "var/lib/glusterd", "var/log/glusterfs"}
	// rootLinks are Debian's merged /usr.
	rootLinks = map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "../run"}
	// rootDevices are those of the process that starts it.
	rootDevices = []string{"fuse", "null", "zero", "random", "urandom"}
	// rootFiles are copied as they are when the client starts: by them names are resolved, and what the container has is its pod's and ends with it.
	rootFiles = []string{"etc/nsswitch.conf", "etc/passwd", "etc/group", "etc/hosts", "etc/host.conf", "etc/resolv.conf"}
)

// Enter moves the calling thread, and what it starts, into a mount namespace of its own with a root of its own, in which there is this copy and the
// directory shared, at its path. What is mounted there in shared is mounted for whoever shares it here, too, and what is unmounted here is unmounted
// there. Nothing else of this process's mounts is there, or is kept from being unmounted. The thread must be one that is discarded.
func (c Copy) Enter(shared string) error {
	if err := c.enter(shared); err != nil {
		return fmt.Errorf("make the root of a client: %w", err)
	}
	return nil
}

func (c Copy) enter(shared string) error {
	files := map[string][]byte{versionFile: []byte(c.Version + "\n")}
	for _, name := range rootFiles {
		data, err := os.ReadFile("/" + name)
		if err == nil {
			files[name] = data
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil { // and the working directory and root
		return fmt.Errorf("unshare: %w", err)
	}
	trees, err := c.cloneTrees(shared)
	defer trees.close()
	if err != nil {
		return err
	}
	// The clones keep their propagation. Nothing that follows is seen elsewhere.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("glusterfs-csi", c.dir, "tmpfs", unix.MS_NOSUID, "mode=755,size=16m"); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	if err := os.Chdir(c.dir); err != nil {
		return err
	}
	if err := fill(files); err != nil {
		return err
	}
	if err := trees.attach(); err != nil {
		return err
	}
	if err := unix.Mount("", usr, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make /%s read-only: %w", usr, err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	return unix.Chdir("/")
}

// IsAsIn says whether a process has the root that one would be started with now: this copy, and the same files by which names are resolved.
func (c Copy) IsAsIn(pid int) bool {
	if Of(pid) != c.Version {
		return false
	}
	for _, name := range rootFiles {
		now, _ := os.ReadFile("/" + name) // one that is not there is as an empty one
		then, _ := os.ReadFile(fmt.Sprintf("/proc/%d/root/%s", pid, name))
		if !bytes.Equal(now, then) {
			return false
		}
	}
	return true
}

// fill makes the files and directories of the root, which is the working directory.
func fill(files map[string][]byte) error {
	var errs []error
	for _, dir := range rootDirs {
		errs = append(errs, os.MkdirAll(dir, 0o750))
	}
	for name, target := range rootLinks {
		errs = append(errs, os.Symlink(target, name))
	}
	for name, data := range files {
		errs = append(errs, os.WriteFile(name, data, 0o600))
	}
	return errors.Join(errs...)
}

// tree is a mount that is attached nowhere, and its place in the root.
type tree struct {
	fd     int
	target string
	isFile bool
}

type trees []tree

// cloneTrees clones what is to be in the root. A clone of a shared mount is its peer. What is mounted below is left out: a client would keep the mounts
// of others.
func (c Copy) cloneTrees(shared string) (all trees, err error) {
	clone := func(path, target string, isFile bool) {
		fd, errOpen := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if errOpen != nil {
			err = errors.Join(err, fmt.Errorf("clone the mount of %s: %w", path, errOpen))
			return
		}
		all = append(all, tree{fd: fd, target: target, isFile: isFile})
	}
	clone(filepath.Join(c.dir, usr), usr, false)
	clone("/proc", "proc", false)
	for _, name := range rootDevices {
		clone("/dev/"+name, "dev/"+name, true)
	}
	clone(shared, strings.TrimPrefix(shared, "/"), false)
	return all, err
}

// attach puts them where they belong below the working directory.
func (all trees) attach() error {
	for _, t := range all {
		err := os.MkdirAll(filepath.Dir(t.target), 0o750)
		if err == nil && t.isFile {
			err = os.WriteFile(t.target, nil, 0o600)
		} else if err == nil {
			err = os.MkdirAll(t.target, 0o750)
		}
		if err == nil {
			err = unix.MoveMount(t.fd, "", unix.AT_FDCWD, t.target, unix.MOVE_MOUNT_F_EMPTY_PATH)
		}
		if err != nil {
			return fmt.Errorf("mount /%s: %w", t.target, err)
		}
	}
	return nil
}

func (all trees) close() {
	for _, t := range all {
		_ = unix.Close(t.fd)
	}
}
