// SPDX-License-Identifier: Apache-2.0

package safepath

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// resolveCached is RESOLVE_CACHED of linux/openat2.h (Linux 5.12), which x/sys lacks.
const resolveCached = 0x20

// What follows is for callers that hold a descriptor of a directory, and that may not ask its file system for more
// than the names themselves: it may be one that does not answer. All descriptors returned are O_PATH, and the
// caller's to close.

// Names splits a path into its components; none for "". It refuses what a walk must not take: an absolute path, "."
// and "..".
func Names(rel string) ([]string, error) {
	if rel == "" {
		return nil, nil
	}
	names := strings.Split(rel, "/")
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// Step opens what is at one name in a directory, whatever it is but a link: that is ErrLink. Where something is
// mounted at the name, it opens what is mounted.
func Step(dir int, name string) (int, error) {
	if err := checkName(name); err != nil {
		return -1, err
	}
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return refuseLink(fd)
}

// OpenCached is a Step for each name of a path, as long as the kernel knows them all and needs to ask no file system;
// EAGAIN if it does not, ENOSYS or EINVAL from a kernel that has no such call (before 5.12).
func OpenCached(dir int, rel string) (int, error) {
	if _, err := Names(rel); err != nil {
		return -1, err
	}
	fd, err := unix.Openat2(dir, rel, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | resolveCached,
	})
	if errors.Is(err, unix.ELOOP) {
		return -1, ErrLink
	}
	if err != nil {
		return -1, err
	}
	return refuseLink(fd)
}

// refuseLink returns fd unless it is of a link; then it is closed. The kernel knows what it is since it was opened.
func refuseLink(fd int) (int, error) {
	var stat unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &stat)
	if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		err = ErrLink
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
