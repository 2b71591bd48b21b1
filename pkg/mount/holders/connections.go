// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// Connections are the FUSE file systems of this host that there still are, whoever holds them: mounted, or detached with a file open.
// They are read from the kernel's fusectl file system, which need not be mounted anywhere. It asks none of them anything.
type Connections struct{ root int }

// OpenConnections takes CAP_SYS_ADMIN. Call Close when they are not needed any more.
func OpenConnections() (*Connections, error) {
	root, err := mountControl()
	if err != nil {
		return nil, fmt.Errorf("see which FUSE file systems there are (fusectl): %w", err)
	}
	return &Connections{root}, nil
}

// mountControl mounts fusectl at no path.
func mountControl() (int, error) {
	context, err := unix.Fsopen("fusectl", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(context) }()
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, err
	}
	return unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
}

// ID returns a number that no other FUSE file system with this device has had since the host was booted, or 0 if there is none now. The
// kernel gives the device of one that is gone to the next at once.
func (c *Connections) ID(device mount.Device) (uint64, error) {
	if device.Major != 0 {
		return 0, nil // of a disk
	}
	var stat unix.Stat_t
	err := unix.Fstatat(c.root, strconv.FormatUint(uint64(device.Minor), 10), &stat, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	return stat.Ino, err
}

// Close lets go of them.
func (c *Connections) Close() { _ = unix.Close(c.root) }
