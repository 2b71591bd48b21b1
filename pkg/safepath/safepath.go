// SPDX-License-Identifier: Apache-2.0

// Package safepath reaches directories below a root without ever following a
// link.
//
// Pods write below the same root that the driver, running as root, walks. A
// path that is resolved by the kernel or by os.Root follows a link that a pod
// has planted (pvc-1/sub -> ../pvc-2) into another tenant's data. So nothing
// here takes a path for the kernel to resolve: a path is walked one component
// at a time from a held descriptor, and whatever is done to what was found is
// done through the descriptor.
//
// No function has a deadline: on a FUSE mount each may block as long as its
// server is silent. The caller bounds them.
package safepath

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// ErrLink says that a component of the path is a symbolic link, or leads out of
// the root's own mount.
var ErrLink = errors.New("a symbolic link or mount point is in the way")

// maxPath is Linux's PATH_MAX less its terminating NUL.
const maxPath = unix.PathMax - 1

// Check returns an error unless rel is what Open takes: relative, clean, not
// empty, without a component "." or "..", NUL or control characters, and within
// Linux's limits (255 bytes a component, 4095 in all).
func Check(rel string) error {
	switch {
	case rel == "":
		return errors.New("the path is empty")
	case len(rel) > maxPath:
		return fmt.Errorf("the path has %d bytes, more than %d", len(rel), maxPath)
	case strings.HasPrefix(rel, "/"):
		return fmt.Errorf("the path %q is absolute", rel)
	case path.Clean(rel) != rel:
		return fmt.Errorf("the path %q is not clean: write %q", rel, path.Clean(rel))
	}
	for name := range strings.SplitSeq(rel, "/") {
		if err := checkName(name); err != nil {
			return err
		}
		if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return fmt.Errorf("the name %q holds a control character or is not UTF-8", name)
		}
	}
	return nil
}

// checkName refuses what is not one component. A tenant's files have whatever names they
// like, so more is asked of a path only.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is not a name for a file", name)
	case len(name) > unix.NAME_MAX:
		return fmt.Errorf("the name %q has %d bytes, more than %d", name, len(name), unix.NAME_MAX)
	case strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("the name %q holds a slash or NUL", name)
	}
	return nil
}

// Dir is a held O_PATH descriptor of a directory. It keeps naming the same
// directory whatever is renamed around it, and it keeps the mount below it
// alive. Close it once; its methods are otherwise safe for concurrent use.
type Dir struct {
	fd   int
	name string
}

// OpenRoot holds the directory at a trusted path, such as the mount point of a
// client. Links are followed: the path is the driver's own, not a tenant's.
func OpenRoot(trusted string) (*Dir, error) {
	fd, err := unix.Open(trusted, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: trusted, Err: err}
	}
	return &Dir{fd: fd, name: trusted}, nil
}

// Called gives the directory another name for messages, and with it what is reached from it from then on.
func (d *Dir) Called(name string) *Dir {
	d.name = name
	return d
}

// dup costs no round trip, unlike opening "." anew.
func (d *Dir) dup() (*Dir, error) {
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, d.err("dup", err)
	}
	return &Dir{fd: fd, name: d.name}, nil
}

// join names what is at rel in d. The name of what is nested deep is cut, so that a walk of any depth is not slowed
// down by names that nobody reads.
func (d *Dir) join(rel string) string {
	const most, head = 1 << 10, 1 << 9 // bytes
	if len(d.name) > most {
		return d.name[:head] + "/…/" + rel
	}
	return strings.TrimSuffix(d.name, "/") + "/" + rel
}

// Close releases the descriptor.
func (d *Dir) Close() { _ = unix.Close(d.fd) }

// Fd is the descriptor itself, valid until Close.
func (d *Dir) Fd() int { return d.fd }

// Name is the path by which d was reached, for messages only.
func (d *Dir) Name() string { return d.name }

// proc names d for the calls that refuse an O_PATH descriptor (chmod, xattrs):
// the link in /proc leads to the very inode held, whatever its path is by now.
func (d *Dir) proc() string { return "/proc/self/fd/" + strconv.Itoa(d.fd) }

func (d *Dir) err(op string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: d.name, Err: err}
}
