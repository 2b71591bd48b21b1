// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Programs is where a machine has those that package build made.
const Programs = "/opt/e2e/bin"

// Where a machine has what else the harness made.
const (
	certificates = "/opt/e2e/pki"
	configs      = "/opt/e2e/config"
)

// fakeGsyncd stands for the Python program of geo-replication, which glusterd runs 22 times when it starts: by far the most
// expensive part of a start, and nothing here replicates to other sites.
const fakeGsyncd = "#!/bin/sh\necho gsyncd.py 10.3\n"

// settings are what kubelet changes, below /proc/sys. They are not a namespace's but this computer's. That nothing else is changed,
// changedSettings looks at.
var settings = []string{
	"kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys", "kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom",
}

type mountPoint struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

// mounts are those of a machine, in order, with targets on its disk.
func (b *boot) mounts() []mountPoint {
	const plain, device = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, unix.MS_NOSUID | unix.MS_NODEV
	upper, work := filepath.Join(b.Dir, "etc"), filepath.Join(b.Dir, "etc-work")
	return []mountPoint{
		{source: b.disk(""), target: "", flags: unix.MS_BIND}, // pivot_root(2) wants a mount
		{source: "/usr", target: "usr", flags: unix.MS_BIND},
		{target: "usr", flags: unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
		{source: "overlay", target: "etc", kind: "overlay", data: "lowerdir=/etc,upperdir=" + upper + ",workdir=" + work},
		{source: "proc", target: "proc", kind: "proc", flags: plain},
		// Covered files of /proc would keep a pod with a user namespace from mounting its own, were there not one to be seen in full.
		{source: "proc", target: "opt/e2e/proc", kind: "proc", flags: plain},
		{source: "sysfs", target: "sys", kind: "sysfs", flags: plain}, // of its own network, with this computer's control groups:
		{source: "/sys/fs/cgroup", target: "sys/fs/cgroup", flags: unix.MS_BIND | unix.MS_REC},
		{source: "/dev", target: "dev", flags: unix.MS_BIND | unix.MS_REC},
		{source: "tmpfs", target: "dev/shm", kind: "tmpfs", flags: device, data: "mode=1777"},
		{source: "tmpfs", target: "run", kind: "tmpfs", flags: device, data: "mode=755"},
		{source: "tmpfs", target: "tmp", kind: "tmpfs", flags: device, data: "mode=1777"},
		{source: b.Log, target: "var/log", flags: unix.MS_BIND},
		{source: b.Programs, target: Programs, flags: unix.MS_BIND},
		{source: b.Certificates, target: certificates, flags: unix.MS_BIND},
	}
}

func (b *boot) mountAll() error {
	// Whatever this computer shares among its namespaces, nothing of what follows comes back to it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make all mounts private: %w", err)
	}
	for _, dir := range []string{"etc", "etc-work"} {
		if err := os.MkdirAll(filepath.Join(b.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	for _, m := range b.mounts() {
		if err := os.MkdirAll(b.disk(m.target), 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, b.disk(m.target), m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s at /%s: %w", m.source, m.target, err)
		}
	}
	return nil
}

// coverGsyncd lets glusterd start quickly.
func (b *boot) coverGsyncd() error {
	var err error
	for _, pattern := range []string{"/usr/lib*/glusterfs/gsyncd", "/usr/lib/*/glusterfs/gsyncd", "/usr/libexec/glusterfs/gsyncd"} {
		found, globErr := filepath.Glob(pattern)
		err = errors.Join(err, globErr)
		for _, path := range found {
			err = errors.Join(err, b.cover(path, []byte(fakeGsyncd)))
		}
	}
	return err
}

// coverSettings lets kubelet write to files of its own what would change this computer.
func (b *boot) coverSettings() error {
	for _, name := range settings {
		path := filepath.Join("/proc/sys", name)
		value, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := b.cover(path, value); err != nil {
			return err
		}
	}
	return nil
}

// cover puts a file with other content over one of the machine's.
func (b *boot) cover(path string, content []byte) error {
	file := b.disk(filepath.Join("run/e2e", strings.ReplaceAll(path, "/", "-")))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, content, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(file, b.disk(path), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cover %s: %w", path, err)
	}
	return nil
}
