// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
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
	if err := unix.Mount(descriptorPath(fd), staging.point, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	had, err := attributesOf(staging.point)
	if err != nil {
		return err
	}
	if err := staging.change(had.ms, flags); err != nil {
		return err
	}
	// There must be no remount at the target, since its descriptor
	// goes on meaning what lies beneath the new mount.
	if err := unix.Mount(staging.point, descriptorPath(targetFd), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind what was bound: %w", err)
	}
	return nil
}

// attributesOf returns those of the mount at a mount point of our own.
func attributesOf(point string) (attributes, error) {
	fd, err := unix.Open(point, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return attributes{}, err
	}
	defer unix.Close(fd)
	m, _, err := mountOf(fd)
	if err != nil {
		return attributes{}, err
	}
	return m.attributes, nil
}

// descriptorPath names an open file of this process.
func descriptorPath(fd int) string { return fmt.Sprintf("/proc/thread-self/fd/%d", fd) }

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

// change makes what is mounted at s private, and its flags these of mount(2) with those added.
func (s *staging) change(ms uintptr, flags Flags) error {
	if err := unix.Mount("", s.point, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make private: %w", err)
	}
	if flags&NoAtime != 0 {
		ms &^= unix.MS_RELATIME | unix.MS_STRICTATIME
	}
	for _, n := range flagNames {
		if flags&n.flag != 0 {
			ms |= n.ms
		}
	}
	if err := unix.Mount("", s.point, "", unix.MS_BIND|unix.MS_REMOUNT|ms, ""); err != nil {
		return fmt.Errorf("remount: %w", err)
	}
	return nil
}

// remove detaches what is mounted at s and removes it. It never removes what
// is mounted: remove(3) fails on a mount point, and nothing here recurses.
func (s *staging) remove() error {
	// EINVAL says that nothing is mounted there. To look at all mounts for that would cost more than the bind.
	if err := unix.Unmount(s.point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("detach %s: umount2: %w", s.point, err)
	}
	if err := os.Remove(s.point); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Remove(s.dir)
}
