// SPDX-License-Identifier: Apache-2.0

// Package container makes of a process what a container runtime makes of it, as far as mounts go: a mount namespace
// and a root of its own, and volumes in it that nothing propagates to.
//
// A test has Start run its own binary as such a process, which then does what it is told (see Main). Programs that
// are more than that start one themselves, with Attributes and Enter.
package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes are for the exec.Cmd of a process that is going to call Enter: a new mount namespace, in which Go makes
// all mounts private, and a session, so that an interrupt from the terminal is for the parent alone.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setsid: true}
}

// Volume is a directory or file of the host, as a kubelet's publish target is one, and where the container sees it.
type Volume struct {
	Source, Target string
	ReadOnly       bool
}

// Enter moves the process, which must have been started with Attributes, into a new root at an empty directory, with
// these volumes, mounted in this order: what a runtime does for a volumeMount without mountPropagation. Nothing else
// of the host's mounts is left to be seen, or held.
func Enter(root string, volumes ...Volume) error {
	if err := build(root, volumes); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	return os.Chdir("/")
}

// EnterByChroot leaves the old root in the namespace, and the process with a view of a part of it.
func EnterByChroot(root string, volumes ...Volume) error {
	if err := build(root, volumes); err != nil {
		return err
	}
	return unix.Chroot(".")
}

// build makes the new root, and the process's working directory.
func build(root string, volumes []Volume) error {
	if err := unix.Mount("container", root, "tmpfs", 0, "size=16m,nr_inodes=0"); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	for _, v := range volumes {
		if err := v.mount(filepath.Join(root, v.Target)); err != nil {
			return fmt.Errorf("bind %s at %s: %w", v.Source, v.Target, err)
		}
	}
	return os.Chdir(root)
}

func (v Volume) mount(target string) error {
	stat, err := os.Stat(v.Source)
	if err != nil {
		return err
	}
	// What is mounted already, e.g. a volume that this is to be below, may have it.
	if _, err = os.Lstat(target); errors.Is(err, os.ErrNotExist) {
		if stat.IsDir() {
			err = os.MkdirAll(target, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
			err = os.WriteFile(target, nil, 0o600)
		}
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(v.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil || !v.ReadOnly {
		return err
	}
	return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID, "")
}
