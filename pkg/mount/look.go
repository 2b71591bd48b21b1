// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"

	"golang.org/x/sys/unix"
)

// seen is what the kernel knows of a file or directory that is open.
type seen struct {
	device   Device
	inode    uint64
	hasInode bool
}

var errNoInode = errors.New("the kernel does not know its inode number")

// look asks no file system, so it may be a dead or hung one.
func look(fd int) (seen, error) {
	var stat unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &stat)
	return seen{Device{stat.Dev_major, stat.Dev_minor}, stat.Ino, stat.Mask&unix.STATX_INO != 0 && stat.Ino != 0}, err
}
