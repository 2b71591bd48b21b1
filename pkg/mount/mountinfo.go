// SPDX-License-Identifier: Apache-2.0

// Package mount reads and changes the kernel's mounts: it lists them, binds
// directories and detaches mount points.
//
// Everything here sees and acts on the mount namespace of the calling thread.
// That is the process's own unless the caller has locked its goroutine to a
// thread and moved that thread elsewhere.
package mount

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	utilio "k8s.io/utils/io"
)

// Device numbers the filesystem behind a mount, as stat(2)'s st_dev does. All
// binds of one filesystem have the same; a new mount of it has a new one.
type Device struct {
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
}

// Entry is one mount, as one line of mountinfo(5) describes it.
type Entry struct {
	ID     int // unique among the mounts there are now; reused later
	Parent int // the ID of the mount that this one is mounted on
	Device Device
	// Root is the directory (or file) of the filesystem that the mount shows. It
	// ends with "//deleted" when that has been removed, and is no path at all for
	// some special filesystems, e.g. "net:[4026531840]".
	Root   string
	Target string // where it is mounted: an absolute path without symbolic links
	Flags  Flags  // of this mount alone; a filesystem may be read-only besides, see SuperOptions
	FSType string // with its subtype, e.g. "fuse.glusterfs"
	Source string // what the filesystem calls its source; may be empty
	// SuperOptions are the filesystem's own, separated by commas and verbatim.
	SuperOptions string
}

// mountInfoPath is the calling thread's view. /proc/self would be the main
// thread's, which differs from where open_tree(2) and umount2(2) act once the
// caller has moved its thread into another namespace.
const mountInfoPath = "/proc/thread-self/mountinfo"

// readAttempts bounds how often List looks for two equal readings.
const readAttempts = 20

// List returns every mount the calling thread can see, in the kernel's order
// (which is no stacking order). It never touches a mounted filesystem, so it
// answers in microseconds whatever state they are in.
//
// The kernel hands mountinfo out a page at a time, and before Linux 5.8 a mount
// that goes away in between makes another one be left out (fixed by kernel
// commit 9f6c61f96f2d). "Nothing is mounted there" must not rest on that, so
// List reads until two readings agree, and fails if none do.
func List() ([]Entry, error) {
	data, err := readMountinfo(mountInfoPath)
	if err != nil {
		return nil, err
	}
	return Parse(bytes.NewReader(data))
}

func readMountinfo(path string) ([]byte, error) {
	read := os.ReadFile
	if !keepsItsPlace() {
		read = func(path string) ([]byte, error) { return utilio.ConsistentRead(path, readAttempts) }
	}
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}
	return data, nil
}

// keepsItsPlace says whether reading mountinfo leaves nothing out. That came with Linux 5.8, as faccessat2 did.
var keepsItsPlace = sync.OnceValue(func() bool {
	_, _, errno := unix.Syscall6(unix.SYS_FACCESSAT2, ^uintptr(0), 0, 0, 0, 0, 0)
	return errno == unix.EBADF || errno == unix.EFAULT
})

// At returns the mounts whose mount point is target, the bottom one first: the
// last is the one that a path through target reaches. No mount is no error, and
// neither is a target that does not exist.
//
// The target is an absolute path. Symbolic links in its parent directory are
// followed, because mountinfo shows the resolved path (a kubelet directory is
// often a link to another disk). Its last component is never looked at: it may
// be a mount whose filesystem no longer answers.
func At(target string) ([]Entry, error) {
	path, err := resolveParent(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return listAt(path)
}

func listAt(path string) ([]Entry, error) {
	entries, err := List()
	if err != nil {
		return nil, err
	}
	return bottomFirst(slices.DeleteFunc(entries, func(e Entry) bool { return e.Target != path })), nil
}

// bottomFirst sorts the mounts of one mount point by who is mounted on whom.
// Neither age nor the order of lines tells: a mount that was slipped beneath
// another (MOVE_MOUNT_BENEATH) is the younger of the two.
func bottomFirst(stack []Entry) []Entry {
	parents := make(map[int]int, len(stack))
	for _, e := range stack {
		parents[e.ID] = e.Parent
	}
	height := func(e Entry) int {
		n := 0
		// The bound ends the walk on a mount that is its own parent, as the
		// first mount of a namespace is.
		for id, ok := e.Parent, true; ok && n <= len(stack); n++ {
			id, ok = parents[id]
		}
		return n
	}
	slices.SortStableFunc(stack, func(a, b Entry) int { return height(a) - height(b) })
	return stack
}

// resolveParent returns target with the links of its parent directory resolved.
func resolveParent(target string) (string, error) {
	if !filepath.IsAbs(target) {
		return "", fmt.Errorf("mount point %q is not an absolute path", target)
	}
	target = filepath.Clean(target)
	parent, err := filepath.EvalSymlinks(filepath.Dir(target))
	if err != nil {
		return "", fmt.Errorf("resolve the parent of mount point %q: %w", target, err)
	}
	return filepath.Join(parent, filepath.Base(target)), nil
}

// Parse reads mountinfo(5), of any process, and keeps its order. Octal escapes
// are decoded in every field but SuperOptions. A line that is not a whole one
// is an error, so what is missing from the result is missing from the input.
func Parse(r io.Reader) ([]Entry, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read mountinfo: %w", err)
	}
	var entries []Entry
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		entry, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("mountinfo line %d: %w: %q", number, err, line)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// parseLine reads e.g.
//
//	36 35 98:0 /root /target rw,noatime master:1 propagate_from:2 - ext4 /dev/sda1 rw
//
// Fields are separated by exactly one space: a source may be empty.
func parseLine(line string) (Entry, error) {
	line, whole := strings.CutSuffix(line, "\n")
	if !whole {
		return Entry{}, errors.New("truncated")
	}
	fields := strings.Split(line, " ")
	// Any number of optional fields lie between the sixth and the separator.
	separator := slices.Index(fields, "-")
	if separator < 6 || len(fields) < separator+4 {
		return Entry{}, errors.New("too few fields")
	}
	id, errID := parseID(fields[0])
	parent, errParent := parseID(fields[1])
	device, errDevice := parseDevice(fields[2])
	if err := errors.Join(errID, errParent, errDevice); err != nil {
		return Entry{}, err
	}
	target := unescape(fields[4])
	if !strings.HasPrefix(target, "/") {
		return Entry{}, errors.New("mount point is not absolute")
	}
	return Entry{
		ID: id, Parent: parent, Device: device,
		Root:   unescape(fields[3]),
		Target: target,
		Flags:  parseFlags(fields[5]),
		FSType: unescape(fields[separator+1]),
		Source: unescape(fields[separator+2]),
		// Some filesystems print spaces of their own here, unescaped.
		SuperOptions: strings.Join(fields[separator+3:], " "),
	}, nil
}

func parseID(s string) (int, error) {
	id, err := strconv.ParseUint(s, 10, 31)
	return int(id), err
}

func parseDevice(s string) (Device, error) {
	majorPart, minorPart, _ := strings.Cut(s, ":")
	major, errMajor := strconv.ParseUint(majorPart, 10, 32)
	minor, errMinor := strconv.ParseUint(minorPart, 10, 32)
	return Device{Major: uint32(major), Minor: uint32(minor)}, errors.Join(errMajor, errMinor)
}

func parseFlags(options string) Flags {
	var flags Flags
	for option := range strings.SplitSeq(options, ",") {
		flag, _ := ParseFlag(option)
		flags |= flag
	}
	return flags
}

// unescape decodes the kernel's \ooo. A backslash that begins no such escape
// stays: the kernel escapes every one in a path, but roots and sources are
// written by the filesystems, and an odd one must not hide everybody's mounts.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
