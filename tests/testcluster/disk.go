// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

// FileSystem is the kind of file system that bricks have for themselves.
type FileSystem string

// The kinds that GlusterFS's users have below their bricks.
const (
	XFS  FileSystem = "xfs"
	Ext4 FileSystem = "ext4"
)

// makers are the program that makes a file system and its arguments; size is how large one is by default, in bytes.
// What takes room from a small ext4 is kept small.
var makers = map[FileSystem]struct {
	program []string
	size    int64
}{
	XFS: {[]string{"mkfs.xfs", "-q", "-K"}, 512 << 20}, // it refuses less than 300 MiB
	Ext4: {[]string{
		"mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-I", "512", "-i", "16384", "-J", "size=4", "-O", "^resize_inode",
		"-E", "lazy_itable_init=1,lazy_journal_init=1",
	}, 256 << 20},
}

// ext4Overhead, in bytes, and half a kilobyte for each 16 of them are what ext4 takes for itself.
const ext4Overhead = 5 << 20

// disk is a brick's file system: in a sparse file, on a loop device. The server mounts it in its own namespace alone,
// and this process holds its root by a descriptor: no mount of it is in anybody else's list, to be copied into other
// namespaces and kept there, and a kill of this process leaves it to the server.
type disk struct {
	file   string // its content
	kind   FileSystem
	target string // where the server mounts it

	mu     sync.Mutex
	device string   // "" while it has no power
	root   *os.File // of the file system
}

// held are the disks of all clusters whose root this process holds.
var held sync.Map

// letGoBelow ends the hold on disks whose files lie below dir.
func letGoBelow(dir string) {
	held.Range(func(key, _ any) bool {
		if d := key.(*disk); isBelow(d.file, dir) {
			d.letGo()
		}
		return true
	})
}

// newDisk makes a file system of this size (0 for the default) and mounts it, in this process's hand alone.
func newDisk(ctx context.Context, file, target string, kind FileSystem, size int64) (*disk, error) {
	maker, known := makers[kind]
	if !known {
		return nil, fmt.Errorf("no file system %q for bricks: %s or %s", kind, XFS, Ext4)
	}
	if size == 0 {
		size = maker.size
	} else if kind == Ext4 {
		size += ext4Overhead + size/32
	}
	for _, dir := range []string{filepath.Dir(file), target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(file, size); err != nil {
		return nil, err
	}
	path, err := program(maker.program[0])
	if err != nil {
		return nil, fmt.Errorf("%w: install it by `make packages`", err)
	}
	if out, err := exec.CommandContext(ctx, path, append(maker.program[1:], file)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", maker.program[0], err, strings.TrimSpace(string(out)))
	}
	d := &disk{file: file, kind: kind, target: target}
	return d, d.powerOn(ctx)
}

// powerOn attaches a loop device and mounts the file system, which replays its log.
func (d *disk) powerOn(ctx context.Context) error {
	device, err := attachLoop(ctx, d.file, filepath.Dir(d.file))
	if err != nil {
		return err
	}
	defer func() { _ = device.Close() }() // the mount has it open
	d.mu.Lock()
	defer d.mu.Unlock()
	d.device = device.Name()
	return thread.Discard(func() error {
		if err := privateNamespace(); err != nil {
			return err
		}
		if err := d.mountLocked(); err != nil {
			return err
		}
		// The mount goes with the namespace, and that with the thread; what it shows stays as long as it is held.
		d.root, err = os.Open(d.target)
		held.Store(d, nil)
		return err
	})
}

// mount mounts the file system in the calling thread's namespace.
func (d *disk) mount() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mountLocked()
}

func (d *disk) mountLocked() error {
	if err := unix.Mount(d.device, d.target, string(d.kind), 0, ""); err != nil {
		return fmt.Errorf("mount %s of %s: %w", d.device, d.file, err)
	}
	return nil
}

// path leads this process, and those that it starts, to the root of the file system, until it loses its power.
func (d *disk) path() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root == nil {
		return d.target
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), d.root.Fd())
}

// sync writes everything to the file.
func (d *disk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return unix.Syncfs(int(d.root.Fd()))
}

// cut stops everything that is on its way to the file, logs included (XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN without
// a flush of the log): the file has what it would have after a loss of power, as far as the device of a real disk does
// not keep back what it was told to write down. The file system answers EIO from then on.
func (d *disk) cut() error {
	const shutdown = 0x8004587d // of either, _IOR('X', 125, uint32)
	const noLogFlush = 2
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root == nil {
		return fmt.Errorf("%s has no power", d.file)
	}
	if err := unix.IoctlSetPointerInt(int(d.root.Fd()), shutdown, noLogFlush); err != nil {
		return fmt.Errorf("shut down %s on %s: %w", d.kind, d.device, err)
	}
	return nil
}

func (d *disk) letGo() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root != nil {
		_ = d.root.Close()
	}
	d.root, d.device = nil, ""
	held.Delete(d)
}

// release gives up this process's hold, and returns when nobody has the file system mounted any more. The server must
// have ended, or have unmounted it.
func (d *disk) release(ctx context.Context) error {
	d.letGo()
	err := Poll(ctx, func() error {
		loops, err := loopsBelow(d.file)
		if err == nil && len(loops) > 0 {
			err = fmt.Errorf("%s is in use", loops[0])
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: a file below BrickPath that a test has open, or another namespace that shows it", err)
	}
	return nil
}

// remove deletes the file system. Its server does not use it any more.
func (d *disk) remove(ctx context.Context) error {
	return errors.Join(d.release(ctx), os.Remove(d.file))
}
