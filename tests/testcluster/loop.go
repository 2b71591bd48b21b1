// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// loopMajor is the major number of loop devices in every Linux.
const loopMajor = 7

// attachLoop puts a loop device on the file and returns the device, open. The kernel takes it off by itself when
// nobody has it open or mounted any more. Where /dev lacks the device, as in containers whose /dev is not the
// kernel's own, its node is made in nodes.
func attachLoop(ctx context.Context, path, nodes string) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: bricks with a file system of their own need loop devices: load the module loop, "+
			"and in a container allow block devices 7:* (--privileged) and `mknod /dev/loop-control c 10 237`", err)
	}
	defer func() { _ = control.Close() }()
	image, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = image.Close() }()
	var device *os.File
	err = Poll(ctx, func() (err error) { // another process may take the free one first
		device, err = attachFreeLoop(int(control.Fd()), int(image.Fd()), nodes)
		return err
	})
	return device, err
}

func attachFreeLoop(control, image int, nodes string) (*os.File, error) {
	number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("find a free loop device: %w", err)
	}
	device, err := openLoop(number, nodes)
	if err != nil {
		return nil, err
	}
	// Not LOOP_CONFIGURE, which does both at once: Linux 5.4 has it not. A kill in between leaves a device that the
	// next run takes off (detachLoops).
	err = unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_FD, image)
	if err == nil {
		err = unix.IoctlLoopSetStatus64(int(device.Fd()), &unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR})
		if err != nil {
			_ = unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0)
		}
	}
	if err != nil {
		_ = device.Close()
		return nil, fmt.Errorf("attach %s: %w", device.Name(), err)
	}
	return device, nil
}

func openLoop(number int, nodes string) (*os.File, error) {
	device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
	if !errors.Is(err, os.ErrNotExist) {
		return device, err
	}
	node := filepath.Join(nodes, fmt.Sprintf("loop%d", number))
	err = unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(number))))
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make a node for loop device %d: %w", number, err)
	}
	return os.OpenFile(node, os.O_RDWR, 0)
}

// loop is a loop device with a file below a directory.
type loop struct {
	number int
	file   string
}

func (l loop) String() string { return fmt.Sprintf("loop device %d of %s", l.number, l.file) }

// loopsBelow lists the loop devices whose files lie, or lay, below dir.
func loopsBelow(dir string) ([]loop, error) {
	paths, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	var found []loop
	for _, path := range paths {
		number, err := strconv.Atoi(strings.TrimPrefix(strings.Split(path, "/")[3], "loop"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if file := loopFile(number); isBelow(file, dir) {
			found = append(found, loop{number, file})
		}
	}
	return found, nil
}

// loopFile is the file of a loop device, "" if it has none.
func loopFile(number int) string {
	file, err := os.ReadFile(fmt.Sprintf("/sys/block/loop%d/loop/backing_file", number))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSpace(string(file)), " (deleted)")
}

// detachLoops takes off the loop devices of files below dir, which the kernel does by itself but for one whose maker
// was killed before it could ask for that. An error names those that somebody still uses.
func detachLoops(dir string) error {
	loops, err := loopsBelow(dir)
	for _, l := range loops {
		err = errors.Join(err, l.detach(dir), fmt.Errorf("%s is still there", l))
	}
	return err
}

func (l loop) detach(nodes string) error {
	device, err := openLoop(l.number, nodes)
	if err != nil {
		return err
	}
	defer func() { _ = device.Close() }()
	if loopFile(l.number) != l.file { // gone meanwhile, and perhaps somebody else's now
		return nil
	}
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("detach %s: %w", l, err)
	}
	return nil
}
