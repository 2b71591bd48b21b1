// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// rootSuite is Debian 12, whose GlusterFS the driver's image has, too.
	rootSuite = "bookworm"
	// diskSize is that of the root's file system, of which the host stores what is used. csi-sanity wants volumes of 10 GiB.
	diskSize = "32G"
)

// extract has mmdebstrap unpack packages and run none of their scripts, which are of another architecture.
func extract(arch string) []string {
	return []string{"--variant=extract", "--skip=check/qemu", "--architectures=" + arch}
}

// rootDisk is the image of a disk with Debian, GlusterFS and what tests run. Machines write to copies of it.
func rootDisk(ctx context.Context, arch string) (string, error) {
	disk := filepath.Join(cache, "root-"+arch+".img")
	if _, err := os.Stat(disk); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return disk, err
	}
	fmt.Printf("making the root of %s\n", arch)
	dir := filepath.Join(cache, "root-"+arch)
	args := append([]string{rootSuite, dir}, extract(arch)...)
	if _, err := output(ctx, nil, "hack/debian-root", append(args, "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "--include=?essential",
		"--include=glusterfs-server,glusterfs-client,attr,acl,xfsprogs,e2fsprogs,strace,file,sqlite3,faketime,procps,libgcc-s1")...); err != nil {
		return "", err
	}
	if err := configureRoot(dir); err != nil {
		return "", err
	}
	// Linux before 5.15 does not mount a file system with the features that are new in Debian 12's mke2fs.
	if _, err := output(ctx, nil, "mke2fs", "-q", "-t", "ext4", "-O", "^orphan_file,^metadata_csum_seed", "-d", dir, disk+".new", diskSize); err != nil {
		return "", err
	}
	return disk, errors.Join(os.RemoveAll(dir), os.Rename(disk+".new", disk))
}

// configureRoot does what the packages' scripts would, as far as anything here needs it.
func configureRoot(dir string) error {
	for from, to := range map[string]string{
		"usr/share/base-passwd/passwd.master": "etc/passwd",
		"usr/share/base-passwd/group.master":  "etc/group",
	} {
		text, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o644); err != nil {
			return err
		}
	}
	for link, target := range map[string]string{"usr/bin/awk": "mawk", "etc/mtab": "/proc/self/mounts"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "etc/hosts"), []byte("127.0.0.1 localhost pi-worker1\n"), 0o644),
		os.RemoveAll(filepath.Join(dir, "var/cache/apt")), os.RemoveAll(filepath.Join(dir, "var/lib/apt/lists")))
}
