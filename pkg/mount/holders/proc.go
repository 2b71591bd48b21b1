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

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ask"
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

// readOnce is read for a file whose text the kernel gives at once, if there is room for it.
func (p *proc) readOnce(name string) string {
	fd, err := unix.Openat(p.fd, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	var buffer [1 << 10]byte
	n, err := unix.Read(fd, buffer[:])
	if err != nil {
		return ""
	}
	return string(buffer[:n])
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
	var stat unix.Statx_t
	err := unix.Statx(p.fd, link, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO|unix.STATX_MNT_ID, &stat)
	if err != nil {
		return mount.Device{}, 0, err
	}
	device := mount.Device{Major: stat.Dev_major, Minor: stat.Dev_minor}
	if stat.Mask&unix.STATX_MNT_ID != 0 { // Linux 5.8
		return device, int(stat.Mnt_id), nil
	}
	fd, err := unix.Openat(p.fd, link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return mount.Device{}, 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	id, _ := parseFdinfo(p.readOnce("self/fdinfo/" + strconv.Itoa(fd)))
	return device, id, nil
}

// describe says which process it is; one that has ended has no start. It fails as Stat does.
func (p *proc) describe(pid int) (Process, error) {
	dir := strconv.Itoa(pid)
	_, start, err := Stat(pid)
	name := strings.TrimSuffix(p.read(dir+"/comm"), "\n")
	return Process{PID: pid, Start: start, Command: name, Cgroup: p.read(dir + "/cgroup")}, err
}

// Stat returns a process's parent, and when it was started, in the kernel's ticks since the boot; 0 if it has ended. It
// fails with ETIMEDOUT where the kernel does not tell within a second.
func Stat(pid int) (parent int, start uint64, err error) {
	text, err := ask.Process(pid, func() ([]byte, error) { return os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) }, nil)
	if errors.Is(err, unix.ETIMEDOUT) {
		return 0, 0, err
	}
	if err != nil {
		return 0, 0, nil //nolint:nilerr // it has ended
	}
	parent, start = parseStat(text)
	return parent, start, nil
}

func parseStat(text []byte) (parent int, start uint64) {
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
