// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// proc is /proc. A look reads thousands of small files there, so they are read by bare system calls.
type proc struct{ fd int }

func openProc() (*proc, error) {
	fd, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /proc: %w", err)
	}
	return &proc{fd: fd}, nil
}

// numbers lists the entries of a directory that are numbers.
func (p *proc) numbers(dir string) ([]int, error) {
	fd, err := unix.Openat(p.fd, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var numbers []int
	buffer := make([]byte, 8<<10)
	for {
		n, err := unix.ReadDirent(fd, buffer)
		if err != nil || n <= 0 {
			return numbers, err
		}
		_, _, names := unix.ParseDirent(buffer[:n], -1, nil)
		for _, name := range names {
			if number, err := strconv.Atoi(name); err == nil {
				numbers = append(numbers, number)
			}
		}
	}
}

// isOfPath says whether a link of /proc leads to what has a path, as files and directories have.
func (p *proc) isOfPath(link string) bool {
	var first [1]byte
	n, err := unix.Readlinkat(p.fd, link, first[:])
	return err == nil && n == 1 && first[0] == '/'
}

// read returns what a file has, or "" if it cannot be read: its process has ended.
func (p *proc) read(name string) string {
	fd, err := unix.Openat(p.fd, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	var text []byte
	buffer := make([]byte, 4<<10)
	for {
		n, err := unix.Read(fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return string(text)
		}
		text = append(text, buffer[:n]...)
	}
}

// follow returns what a link of /proc leads to, without asking the file system: it may be dead or hung.
func (p *proc) follow(link string) (mount.Device, int, error) {
	fd, err := unix.Openat(p.fd, link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return mount.Device{}, 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Statx_t
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO|unix.STATX_MNT_ID, &stat)
	if err != nil {
		return mount.Device{}, 0, err
	}
	device := mount.Device{Major: stat.Dev_major, Minor: stat.Dev_minor}
	if stat.Mask&unix.STATX_MNT_ID != 0 { // Linux 5.8
		return device, int(stat.Mnt_id), nil
	}
	id, _ := parseFdinfo(p.read("thread-self/fdinfo/" + strconv.Itoa(fd)))
	return device, id, nil
}

// describe says which process it is, unless it has ended.
func (p *proc) describe(pid int) (Process, bool) {
	dir := strconv.Itoa(pid)
	_, start := Stat(pid)
	name := strings.TrimSuffix(p.read(dir+"/comm"), "\n")
	return Process{PID: pid, Start: start, Command: name, Cgroup: p.read(dir + "/cgroup")}, start != 0
}

// Stat returns a process's parent, and when it was started, in the kernel's ticks since the boot; 0 if it has ended.
func Stat(pid int) (parent int, start uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The name, in parentheses, may hold anything; the third field of proc(5) follows it.
	const parentField, startField = 4 - 3, 22 - 3
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= startField {
		return 0, 0
	}
	parent, _ = strconv.Atoi(string(fields[parentField]))
	start, _ = strconv.ParseUint(string(fields[startField]), 10, 64)
	return parent, start
}

// parseFdinfo returns the ID of a descriptor's mount, and with which flags it was opened.
func parseFdinfo(text string) (mountID, flags int) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch name {
		case "flags":
			n, _ := strconv.ParseUint(value, 8, 32)
			flags = int(n)
		case "mnt_id":
			mountID, _ = strconv.Atoi(value)
			return mountID, flags
		}
	}
	return 0, flags
}
