// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// Connection returns a number that no other FUSE file system with this device has, nor had before, as long as any process has the kernel's
// fusectl file system mounted, or 0 if there is none now: neither mounted, nor detached with a file open. The kernel gives the device of
// one that is gone to the next at once. It takes CAP_SYS_ADMIN, and asks the file system nothing.
func Connection(device mount.Device) (uint64, error) {
	root, err := control()
	if err != nil {
		return 0, fmt.Errorf("see which FUSE file systems there are (fusectl): %w", err)
	}
	if device.Major != 0 {
		return 0, nil // of a disk
	}
	var stat unix.Stat_t
	err = unix.Fstatat(root, strconv.FormatUint(uint64(device.Minor), 10), &stat, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	return stat.Ino, err
}

// control is fusectl, mounted at no path for as long as this process lives: when nobody has it mounted the kernel forgets its numbers. systemd
// mounts it on every host; this process must not rely on that.
var control = sync.OnceValues(func() (int, error) {
	context, err := unix.Fsopen("fusectl", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(context) }()
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, err
	}
	return unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
})
