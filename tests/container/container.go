// SPDX-License-Identifier: Apache-2.0

// Package container makes of a process what a container runtime makes of it, as far as mounts
// go: a root of its own, and volumes in it that nothing propagates to.
package container

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes are for the exec.Cmd of a process that is going to call Enter: a new mount
// namespace, in which Go makes all mounts private, and a session, so that an interrupt from
// the terminal is for the parent alone.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setsid: true}
}

// Volume is a directory of the host, as a kubelet's publish target is one, and where the
// container sees it.
type Volume struct{ Source, Target string }

// Enter moves the process, which must have been started with Attributes, into a new root at
// an empty directory, with these volumes: what a runtime does for a volumeMount without
// mountPropagation. Nothing else of the host's mounts is left to be seen, or held.
func Enter(root string, volumes ...Volume) error {
	if err := unix.Mount("container", root, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	for _, v := range volumes {
		target := filepath.Join(root, v.Target)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(v.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", v.Source, err)
		}
		if err := unix.Mount("", target, "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make the bind of %s private: %w", v.Source, err)
		}
	}
	if err := os.Chdir(root); err != nil {
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
