// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Bind mounts the directory (or file) that fd refers to onto target, with flags
// added to those its own mount has. fd may be, and best is, an O_PATH
// descriptor. What is mounted below the directory does not come along.
//
// The target must exist and be a directory for a directory, a file for a file.
// It is opened once, following links in its parents but not in its last
// component, and mounted on by that descriptor: whoever swaps it meanwhile
// redirects nothing. What is mounted there already gets the bind on top of it;
// Bind never looks, so calling it twice mounts twice.
//
// The bind appears with all its flags, so a read-only one never takes a write.
// It belongs to no peer group of its source, and to one of its own if the
// target's mount is shared, so it reaches the host and the containers as
// Kubernetes' mount propagation has it. After an error nothing is mounted.
//
// Errors wrap the errno. It sends the filesystem behind fd nothing, and a
// mount point whose last component is a dead mount does not block it.
func Bind(fd int, target string, flags Flags) error {
	// Opening with O_PATH sends the filesystem of a mounted target nothing.
	targetFd, err := unix.Open(target, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bind onto %s: open: %w", target, err)
	}
	defer unix.Close(targetFd)

	err = bind(fd, targetFd, flags)
	if errors.Is(err, unix.ENOSYS) {
		err = bindLegacy(fd, targetFd, flags)
	}
	if err != nil {
		return fmt.Errorf("bind onto %s (%s): %w", target, flags, err)
	}
	return nil
}

// bind makes a mount that is nowhere yet, finishes it, and only then attaches it.
func bind(fd, targetFd int, flags Flags) error {
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(tree)

	attr := flags.setattr()
	// The clone of a shared mount is its peer: whatever is mounted below either
	// would show in both. It has to leave the group before it is attached.
	attr.Propagation = unix.MS_PRIVATE
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	if err := unix.MoveMount(tree, "", targetFd, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}
