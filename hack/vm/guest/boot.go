// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	rootDisk, planDisk = "/dev/vda", "/dev/vdb"
	// deviceLimit is how long a device may take to appear after its driver was loaded.
	deviceLimit = time.Minute
)

// bootRoot is what an initial RAM disk is for: it goes on in the root of the disk.
func bootRoot() error {
	for dir, kind := range map[string]string{"/dev": "devtmpfs", "/proc": "proc"} {
		if err := mountAt(kind, dir, kind, 0, ""); err != nil {
			return err
		}
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	for _, disk := range []string{rootDisk, planDisk} {
		if err := await(disk); err != nil {
			return err
		}
	}
	const root = "/root"
	if err := mountAt(rootDisk, root, "ext4", 0, ""); err != nil {
		return err
	}
	program := filepath.Join(root, inRoot)
	if err := copyProgram(inInitramfs, program); err != nil {
		return err
	}
	// As switch_root(8): the initramfs stays below and is not seen any more.
	if err := errors.Join(os.Chdir(root), unix.Mount(".", "/", "", unix.MS_MOVE, ""), unix.Chroot("."), os.Chdir("/")); err != nil {
		return fmt.Errorf("make the disk the root: %w", err)
	}
	return unix.Exec("/"+inRoot, []string{inRoot}, nil)
}

// loadModules loads those of a directory in the order of their names, which is that of their dependence.
func loadModules(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		file, err := os.Open(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), "", 0)
		_ = file.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load the module %s: %w", entry.Name(), err)
		}
	}
	return nil
}

// await waits until a device is there.
func await(pattern string) error {
	for deadline := time.Now().Add(deviceLimit); ; time.Sleep(10 * time.Millisecond) {
		if found, err := filepath.Glob(pattern); err != nil || len(found) > 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("there is no %s after %s", pattern, deviceLimit)
		}
	}
}

func mountAt(source, dir, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, dir, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", kind, dir, err)
	}
	return nil
}

// copyProgram writes a new file, so that one that runs is no obstacle.
func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.RemoveAll(to)); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	return errors.Join(err, file.Close())
}
