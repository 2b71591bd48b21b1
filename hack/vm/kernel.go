// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// wanted are the modules that the machine and the tests need, where the kernel does not have them built in: its disks and the serial port, file systems,
// what their checksums are made by, and the ends of cables.
var wanted = []string{"virtio_pci", "virtio_blk", "virtio_console", "crc32c_generic", "ext4", "xfs", "fuse", "overlay", "loop", "tun", "veth"}

// findKernel finds the kernel of a release of Debian, and returns its modules in the order in which they are to be loaded.
func (m *machine) findKernel(ctx context.Context, arch, suite, version string) (modules []string, err error) {
	dir := filepath.Join(cache, "kernel-"+arch+"-"+suite)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("unpacking Linux %s for %s\n", version, arch)
	}
	args := append([]string{suite, dir}, extract(arch)...)
	if _, err := output(ctx, nil, "hack/debian-root", append(args, "--include=linux-image-"+arch)...); err != nil {
		return nil, err
	}
	images, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-"+version+".*"))
	if err != nil || len(images) != 1 {
		return nil, fmt.Errorf("%s has the kernels %v, not one of %s: %w", dir, images, version, err)
	}
	m.kernel = images[0]
	release := strings.TrimPrefix(filepath.Base(m.kernel), "vmlinuz-")
	for _, lib := range []string{"lib", "usr/lib"} {
		tree := filepath.Join(dir, lib, "modules", release)
		if _, err := os.Stat(tree); err == nil {
			return inOrder(ctx, tree, m.work)
		}
	}
	return nil, fmt.Errorf("%s has no modules of %s", dir, release)
}

// inOrder finds the wanted modules, and those that they need before them, in a tree of modules. Compressed ones it unpacks into work.
func inOrder(ctx context.Context, tree, work string) (files []string, err error) {
	text, err := os.ReadFile(filepath.Join(tree, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	known := map[string]bool{} // there already
	for line := range strings.FieldsSeq(string(text)) {
		known[moduleName(line)] = true
	}
	paths := map[string]string{}
	err = filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), ".ko") {
			paths[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var add func(name string) error
	add = func(name string) error {
		if known[name] {
			return nil
		}
		known[name] = true
		if paths[name] == "" {
			return fmt.Errorf("%s has no module %s", tree, name)
		}
		file, err := uncompressed(ctx, paths[name], work)
		if err != nil {
			return err
		}
		needed, err := dependencies(file)
		if err != nil {
			return err
		}
		for _, other := range needed {
			if err := add(other); err != nil {
				return err
			}
		}
		files = append(files, file)
		return nil
	}
	for _, name := range wanted {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// moduleName is what the kernel calls the module in a file: in names of files there may be - for _.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func uncompressed(ctx context.Context, path, work string) (string, error) {
	if filepath.Ext(path) != ".xz" {
		return path, nil
	}
	file := filepath.Join(work, strings.TrimSuffix(filepath.Base(path), ".xz"))
	to, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer to.Close()
	unpack := exec.CommandContext(ctx, "xz", "-dc", path)
	unpack.Stdout = to
	if err := unpack.Run(); err != nil {
		return "", fmt.Errorf("unpack %s: %w", path, err)
	}
	return file, nil
}

// dependencies are the modules that one says it needs.
func dependencies(file string) ([]string, error) {
	object, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }()
	section := object.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s is no module", file)
	}
	text, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range bytes.SplitSeq(text, []byte{0}) {
		if names, is := strings.CutPrefix(string(field), "depends="); is && names != "" {
			return strings.Split(strings.ReplaceAll(names, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
