// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	mountutils "k8s.io/mount-utils"
)

// bindLegacy is bind for kernels that lack mount_setattr(2) (before 5.12).
//
// mount(2) can only bind first and restrict afterwards, which at the target
// would be a moment in which a read-only volume takes writes, and a peer of its
// source. So the bind is made and finished at a mount point of our own, where
// nobody looks, and bound from there onto the target: a bind of a bind inherits
// its flags, and one of a private mount is no peer of anything. Should the
// process be killed in between, the leftover lasts as long as its mount
// namespace, which for a container is no longer than the container.
func bindLegacy(fd, targetFd int, flags Flags) (err error) {
	staging, err := makeStaging(fd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, staging.remove()) }()

	// With "bind" among its options mount-utils makes two calls of mount(8): the
	// bind, then the remount with these options and those of the source's own mount.
	options := append([]string{"bind", "private"}, flags.options()...)
	if err := runMount(descriptorPath(fd), staging.point, options); err != nil {
		return err
	}
	// A single call: there must be no remount, since the descriptor of the target
	// goes on meaning what lies beneath the new mount.
	return runMount(staging.point, descriptorPath(targetFd), nil, "--bind")
}

func runMount(source, target string, options []string, mountFlags ...string) error {
	// mount(8) by default replaces a path by what it resolves to, which would
	// undo the point of naming a file by its descriptor.
	mountFlags = append(mountFlags, "--no-canonicalize")
	// Not New(), which runs umount(8) first to learn about something unneeded here.
	mounter := &mountutils.Mounter{}
	return mounter.MountSensitiveWithoutSystemdWithMountFlags(source, target, "", options, nil, mountFlags)
}

// descriptorPath names an open file of this process for its children.
func descriptorPath(fd int) string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
}

// staging is a mount point in a temporary directory of our own.
type staging struct{ dir, point string }

// makeStaging returns one that fits fd, a directory or a file.
func makeStaging(fd int) (*staging, error) {
	var stat unix.Statx_t // of what the kernel knows: the file system may have fallen silent
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &stat); err != nil {
		return nil, fmt.Errorf("stat the source: %w", err)
	}
	dir, err := os.MkdirTemp("", "bind-")
	if err != nil {
		return nil, err
	}
	s := &staging{dir: dir, point: filepath.Join(dir, "source")}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.Mkdir(s.point, 0o700)
	} else {
		err = os.WriteFile(s.point, nil, 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// remove detaches what is mounted at s and removes it. It never removes what
// is mounted: remove(3) fails on a mount point, and nothing here recurses.
func (s *staging) remove() error {
	if err := Detach(s.point); err != nil {
		return err
	}
	if err := os.Remove(s.point); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Remove(s.dir)
}
