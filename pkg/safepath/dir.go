// SPDX-License-Identifier: Apache-2.0

package safepath

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// What is done to the directory itself goes through its descriptor; what is done
// to an entry takes one name, never a path, and never follows a link. Errors are
// *os.PathError or *os.LinkError holding the kernel's errno.

// maxXattr is how long the kernel lets a value be, in bytes (XATTR_SIZE_MAX).
const maxXattr = 64 << 10

// Stat returns the directory's attributes.
func (d *Dir) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstat(d.fd, &st)
	return st, d.err("stat", err)
}

// Statfs returns the numbers of the filesystem d is on.
func (d *Dir) Statfs() (unix.Statfs_t, error) {
	var st unix.Statfs_t
	err := unix.Fstatfs(d.fd, &st)
	return st, d.err("statfs", err)
}

// Chown sets owner and group; -1 leaves one as it is.
func (d *Dir) Chown(uid, gid int) error {
	return d.err("chown", unix.Fchownat(d.fd, "", uid, gid, unix.AT_EMPTY_PATH))
}

// Chmod sets the permission bits, setuid, setgid and sticky among them, as in
// chmod(2).
func (d *Dir) Chmod(mode uint32) error {
	return d.err("chmod", unix.Chmod(d.proc(), mode))
}

// Xattr returns the value of an extended attribute, and "" where there is none.
func (d *Dir) Xattr(name string) (string, error) {
	value := make([]byte, 255) // which most do with
	n, err := unix.Getxattr(d.proc(), name, value)
	if errors.Is(err, unix.ERANGE) {
		value = make([]byte, maxXattr)
		n, err = unix.Getxattr(d.proc(), name, value)
	}
	if errors.Is(err, unix.ENODATA) {
		return "", nil
	}
	if err != nil {
		return "", d.err("getxattr", err)
	}
	return string(value[:n]), nil
}

// CreateXattr sets an extended attribute that is not there yet; fs.ErrExist if it
// is, so that of two who try only one succeeds.
func (d *Dir) CreateXattr(name, value string) error {
	return d.err("setxattr", unix.Setxattr(d.proc(), name, []byte(value), unix.XATTR_CREATE))
}

// SetXattr sets an extended attribute, whether it is there or not.
func (d *Dir) SetXattr(name, value string) error {
	return d.err("setxattr", unix.Setxattr(d.proc(), name, []byte(value), 0))
}

// RemoveXattr removes an extended attribute; one that is not there is no error.
func (d *Dir) RemoveXattr(name string) error {
	err := unix.Removexattr(d.proc(), name)
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	return d.err("removexattr", err)
}

// Entry holds whatever is at name, a link itself included, for Chown, Chmod and
// Stat; it is a Dir in name only where it is not a directory.
func (d *Dir) Entry(name string) (*Dir, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	fd, err := unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.join(name), Err: err}
	}
	return &Dir{fd: fd, name: d.join(name)}, nil
}

// StatEntry returns the attributes of what is at name, of a link itself.
func (d *Dir) StatEntry(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := checkName(name); err != nil {
		return st, err
	}
	if err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return st, &os.PathError{Op: "stat", Path: d.join(name), Err: err}
	}
	return st, nil
}

// OpenFile opens the file at name with O_NOFOLLOW and O_CLOEXEC added to flags.
func (d *Dir) OpenFile(name string, flags int, perm uint32) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	fd, err := unix.Openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.join(name), Err: err}
	}
	return os.NewFile(uintptr(fd), d.join(name)), nil
}

// Refresh makes the kernel ask the filesystem anew what is at name. FUSE trusts a name for
// a second; if another host has replaced the file meanwhile, reading it says ESTALE.
func (d *Dir) Refresh(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	var stx unix.Statx_t
	if err := unix.Statx(d.fd, name, unix.AT_STATX_FORCE_SYNC|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &stx); err != nil {
		return &os.PathError{Op: "statx", Path: d.join(name), Err: err}
	}
	return nil
}

// Mkdir makes a directory with exactly this mode less the process's umask.
func (d *Dir) Mkdir(name string, mode uint32) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := unix.Mkdirat(d.fd, name, mode); err != nil {
		return &os.PathError{Op: "mkdir", Path: d.join(name), Err: err}
	}
	return nil
}

// Rmdir removes an empty directory, Unlink whatever else is at name.
func (d *Dir) Rmdir(name string) error { return d.unlink(name, unix.AT_REMOVEDIR) }

// Unlink removes an entry that is not a directory.
func (d *Dir) Unlink(name string) error { return d.unlink(name, 0) }

func (d *Dir) unlink(name string, flags int) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := unix.Unlinkat(d.fd, name, flags); err != nil {
		return &os.PathError{Op: "remove", Path: d.join(name), Err: err}
	}
	return nil
}

// maxLink is the size of the longest content of a symbolic link, in bytes.
const maxLink = unix.PathMax - 1

// Symlink makes a symbolic link called name; fs.ErrExist if that is taken. It is one step: the link is never
// there without its content.
func (d *Dir) Symlink(content, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := unix.Symlinkat(content, d.fd, name); err != nil {
		return &os.PathError{Op: "symlink", Path: d.join(name), Err: err}
	}
	return nil
}

// Readlink returns the content of the symbolic link name. Nothing is followed.
func (d *Dir) Readlink(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	var content [maxLink + 1]byte
	n, err := unix.Readlinkat(d.fd, name, content[:])
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: d.join(name), Err: err}
	}
	return string(content[:n]), nil
}

// Rename moves name to newname in directory to. As rename(2), it replaces a file
// or an empty directory that is already there.
func (d *Dir) Rename(name string, to *Dir, newname string) error {
	if err := errors.Join(checkName(name), checkName(newname)); err != nil {
		return err
	}
	if err := unix.Renameat(d.fd, name, to.fd, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: d.join(name), New: to.join(newname), Err: err}
	}
	return nil
}

// Link gives the file at name a second name; fs.ErrExist if that is taken.
func (d *Dir) Link(name string, to *Dir, newname string) error {
	if err := errors.Join(checkName(name), checkName(newname)); err != nil {
		return err
	}
	if err := unix.Linkat(d.fd, name, to.fd, newname, 0); err != nil {
		return &os.LinkError{Op: "link", Old: d.join(name), New: to.join(newname), Err: err}
	}
	return nil
}
