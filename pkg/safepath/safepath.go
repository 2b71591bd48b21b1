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
	"sync/atomic"
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

// noOpenat2 is set for good once the kernel has answered ENOSYS (before 5.6).
var noOpenat2 atomic.Bool

// Open holds the directory at rel below d; "." is d itself. It returns ErrLink
// where a component is a link or another mount, and otherwise the kernel's
// error (fs.ErrNotExist, ENOTDIR, …) naming the component that refused.
func (d *Dir) Open(rel string) (*Dir, error) {
	if rel == "." {
		return d.dup()
	}
	if err := Check(rel); err != nil {
		return nil, err
	}
	if found := d.open(rel); found != nil {
		return found, nil
	}
	// Either an old kernel, or a failure whose component the walk will name.
	return d.walk(rel)
}

// Subdirectory is Open for the name of a tenant's directory, which may hold any bytes but a slash and NUL.
func (d *Dir) Subdirectory(name string) (*Dir, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if found := d.open(name); found != nil {
		return found, nil
	}
	return d.step(name)
}

// open returns nil where openat2 fails, or is missing.
func (d *Dir) open(rel string) *Dir {
	if noOpenat2.Load() {
		return nil
	}
	fd, err := unix.Openat2(d.fd, rel, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err == nil {
		return &Dir{fd: fd, name: d.join(rel)}
	}
	if errors.Is(err, unix.ENOSYS) {
		noOpenat2.Store(true)
	}
	return nil
}

// dup costs no round trip, unlike opening "." anew.
func (d *Dir) dup() (*Dir, error) {
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, d.err("dup", err)
	}
	return &Dir{fd: fd, name: d.name}, nil
}

// OpenAny returns an O_PATH descriptor, the caller's to close, of the directory or file at the
// absolute path from d, as mountinfo names the root of a mount ("/", "/pvc-1/app.conf"). Like
// Open it follows no link; anything but a directory or a regular file is ErrLink.
func (d *Dir) OpenAny(absolute string) (fd int, err error) {
	rel := strings.TrimPrefix(absolute, "/")
	if rel == "" {
		rel = "."
	}
	parent, err := d.Open(path.Dir(rel))
	if err != nil {
		return -1, err
	}
	defer parent.Close()
	if rel == "." {
		return unix.FcntlInt(uintptr(parent.fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	found, err := parent.Entry(path.Base(rel))
	if err != nil {
		return -1, err
	}
	st, err := found.Stat()
	if kind := st.Mode & unix.S_IFMT; err == nil && kind != unix.S_IFDIR && kind != unix.S_IFREG {
		err = &os.PathError{Op: "open", Path: found.name, Err: ErrLink}
	}
	if err != nil {
		found.Close()
		return -1, err
	}
	return found.fd, nil
}

func (d *Dir) walk(rel string) (*Dir, error) {
	at := d
	for name := range strings.SplitSeq(rel, "/") {
		next, err := at.step(name)
		if at != d {
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// step opens one component, a directory that is neither a link nor on another mount.
func (d *Dir) step(name string) (*Dir, error) {
	fd, err := Step(d.fd, name)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.join(name), Err: err}
	}
	next := &Dir{fd: fd, name: d.join(name)}
	if err := next.isDirectoryOnTheMountOf(d); err != nil {
		next.Close()
		return nil, &os.PathError{Op: "open", Path: next.name, Err: err}
	}
	return next, nil
}

// isDirectoryOnTheMountOf compares devices: a tenant cannot make a mount, so what RESOLVE_NO_XDEV
// adds on newer kernels (bind mounts of the same device) is not missed here.
func (d *Dir) isDirectoryOnTheMountOf(parent *Dir) error {
	var above, own unix.Stat_t
	err := errors.Join(unix.Fstat(parent.fd, &above), unix.Fstat(d.fd, &own))
	switch {
	case err != nil:
		return err
	case own.Dev != above.Dev:
		return ErrLink
	case own.Mode&unix.S_IFMT != unix.S_IFDIR:
		return unix.ENOTDIR
	}
	return nil
}

// join names what is at rel in d. The name of what is nested deep is cut, so that a walk of any depth is not slowed down by
// names that nobody reads.
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
