// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// open opens what is below /proc for reading.
func (p *proc) open(name string) (fd int, err error) {
	return unix.Openat(p.fd, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// processes lists them.
func (p *proc) processes() ([]int, error) {
	fd, err := p.open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var pids []int
	err = new(buffer).eachName(fd, func(name string) bool {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
		return true
	})
	return pids, err
}

// buffer is for what is read of one process.
type buffer struct {
	text  []byte
	names []string
}

// buffers are those that are free. A look at a process that gives no answer keeps its own.
var buffers = sync.Pool{New: func() any { return &buffer{} }}

// room is how much of a file or a directory is read at once: more than the kernel gives of a file of /proc.
const room = 8 << 10

// free returns room in a buffer after its first n bytes, which stay.
func (b *buffer) free(n int) []byte {
	b.text = slices.Grow(b.text[:n], room)
	return b.text[n : n+room]
}

// eachName does something with each name of an open directory, until it returns false.
func (b *buffer) eachName(fd int, do func(name string) bool) error {
	for {
		entries := b.free(0)
		n, err := unix.ReadDirent(fd, entries)
		if err != nil || n <= 0 {
			return err
		}
		_, _, b.names = unix.ParseDirent(entries[:n], -1, b.names[:0])
		for _, name := range b.names {
			if !do(name) {
				return nil
			}
		}
	}
}

// isOfPath says whether a link in a directory of /proc leads to what has a path, as files and directories have.
func isOfPath(dir int, link string) bool {
	var first [1]byte
	n, err := unix.Readlinkat(dir, link, first[:])
	return err == nil && n == 1 && first[0] == '/'
}

// readOnce is read for a file whose text the kernel gives at once, if there is room for it.
func (p *proc) readOnce(name string, into []byte) []byte {
	fd, err := p.open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	n, err := unix.Read(fd, into)
	if err != nil {
		return nil
	}
	return into[:n]
}

// read returns what a file has, or nothing if it cannot be read: its process has ended. It is good until the buffer is used again.
func (p *proc) read(name string, b *buffer) []byte {
	fd, err := p.open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	length := 0
	for {
		n, err := unix.Read(fd, b.free(length))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return b.text[:length]
		}
		length += n
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
	var text [1 << 10]byte
	id, _ := parseFdinfo(p.readOnce("self/fdinfo/"+strconv.Itoa(fd), text[:]))
	return device, id, nil
}

// describe says which process it is; one that has ended has no start.
func (p *proc) describe(pid int, b *buffer) Process {
	dir := strconv.Itoa(pid)
	_, start := parseStat(p.read(dir+"/stat", b))
	name := strings.TrimSuffix(string(p.read(dir+"/comm", b)), "\n")
	return Process{PID: pid, Start: start, Command: name, Cgroup: string(p.read(dir+"/cgroup", b))}
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
func parseFdinfo(text []byte) (mountID, flags int) {
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(name) {
		case "flags":
			n, _ := strconv.ParseUint(string(value), 8, 32)
			flags = int(n)
		case "mnt_id":
			mountID, _ = strconv.Atoi(string(value))
			return mountID, flags
		}
	}
	return 0, flags
}
