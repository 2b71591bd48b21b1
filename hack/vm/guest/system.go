// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/hack/vm/protocol"
)

// serve makes of the disk's root a system as systemd does, has another process do the plan, and looks after processes without a parent until that has ended.
func serve() error {
	if err := errors.Join(mountSystem(), configure()); err != nil {
		return err
	}
	jobs := exec.Command("/" + inRoot)
	jobs.Args = []string{asJobs}
	jobs.Stdout, jobs.Stderr = os.Stdout, os.Stderr
	if err := jobs.Start(); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid == jobs.Process.Pid {
			powerOff()
		}
	}
}

// mountSystem mounts what every system has, with control groups of version 2 alone.
func mountSystem() error {
	const noExec = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, m := range []struct {
		kind, dir string
		flags     uintptr
		data      string
	}{
		{"proc", "/proc", noExec, ""},
		{"sysfs", "/sys", noExec, ""},
		{"cgroup2", "/sys/fs/cgroup", noExec, ""},
		{"devtmpfs", "/dev", unix.MS_NOSUID, ""},
		{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"},
		{"tmpfs", "/dev/shm", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"tmpfs", protocol.Dir, unix.MS_NOSUID | unix.MS_NODEV, "mode=755"}, // what is not on the bricks' disk need not be written before the first fsync returns
	} {
		if err := mountAt(m.kind, m.dir, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share all mounts, as systemd does: %w", err)
	}
	// systemd has groups below the root count memory, and with it kubelet.
	return os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory +pids +cpu +io"), 0)
}

// configure does what udev and the network's start do, and makes the stand-in for go.
func configure() error {
	const name = "pi-worker1"
	err := unix.Sethostname([]byte(name))
	for link, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "fd/0", "/dev/stdout": "fd/1", "/dev/stderr": "fd/2", "/usr/local/bin/go": "/" + inRoot,
	} {
		err = errors.Join(err, os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(target, link))
	}
	return errors.Join(err, upLoopback(), unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
}

// upLoopback brings the interface lo up, which the kernel gives its address then.
func upLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring up the loopback interface: %w", err)
	}
	return nil
}

// powerOff ends the machine, whose disk nobody reads again.
func powerOff() {
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) // does not return where it works
	select {}
}
