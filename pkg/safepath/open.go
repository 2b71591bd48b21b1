// SPDX-License-Identifier: Apache-2.0

package safepath

import (
	"errors"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

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
