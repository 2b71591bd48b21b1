// SPDX-License-Identifier: Apache-2.0

package safepath

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// What follows is for what Entry holds, whatever it is. The inode was found once, so what is read of it and what is
// opened is the same one, whatever its name leads to by now.

// EntryAndStat is Entry, with the attributes that its lookup gave: where a client believes nothing that it knew, Stat
// would ask the file system once more.
func (d *Dir) EntryAndStat(name string) (*Dir, unix.Stat_t, error) {
	entry, err := d.Entry(name)
	if err != nil {
		return nil, unix.Stat_t{}, err
	}
	st, err := entry.StatAsKnown()
	if err != nil {
		entry.Close()
		return nil, st, err
	}
	return entry, st, nil
}

// LookUp is StatEntry with the attributes that the lookup of the name gave: see EntryAndStat.
func (d *Dir) LookUp(name string) (unix.Stat_t, error) {
	if err := checkName(name); err != nil {
		return unix.Stat_t{}, err
	}
	st, err := lookedUp(d.fd, name, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return st, &os.PathError{Op: "stat", Path: d.join(name), Err: err}
	}
	return st, nil
}

// StatAsKnown returns the directory's attributes as the kernel has known them since it asked last, and asks nobody:
// those that the lookup gave by which the directory was opened, or what was done since through this mount.
func (d *Dir) StatAsKnown() (unix.Stat_t, error) {
	st, err := lookedUp(d.fd, "", unix.AT_EMPTY_PATH)
	return st, d.err("stat", err)
}

// lookedUp is what the kernel knows of a file once it has gone to it.
func lookedUp(fd int, name string, flags int) (st unix.Stat_t, err error) {
	var x unix.Statx_t
	if err := unix.Statx(fd, name, flags|unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS, &x); err != nil {
		return st, err
	}
	st.Dev, st.Rdev = unix.Mkdev(x.Dev_major, x.Dev_minor), unix.Mkdev(x.Rdev_major, x.Rdev_minor)
	st.Ino, st.Mode, st.Uid, st.Gid = x.Ino, uint32(x.Mode), x.Uid, x.Gid
	st.Size, st.Blocks = int64(x.Size), int64(x.Blocks)
	st.Atim, st.Mtim, st.Ctim = timeOf(x.Atime), timeOf(x.Mtime), timeOf(x.Ctime)
	setLinks(&st.Nlink, x.Nlink)
	return st, nil
}

// setLinks is for a field whose type is the architecture's.
func setLinks[T uint32 | uint64](to *T, n uint32) { *to = T(n) }

func timeOf(t unix.StatxTimestamp) unix.Timespec {
	return unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)}
}

// Reopen opens the regular file that is held. It refuses all else with EINVAL: to open a device or a FIFO does things.
func (d *Dir) Reopen(flags int) (*os.File, error) {
	st, err := d.Stat()
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, d.err("open", unix.EINVAL)
	}
	fd, err := unix.Open(d.proc(), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.err("open", err)
	}
	return os.NewFile(uintptr(fd), d.name), nil
}

// ReadFile returns what a small regular file has, most bytes of it at most. Before read(2) the kernel asks a file
// system like FUSE for the attributes, which makes GlusterFS open the file, although the answer to the lookup had what
// is in it: two round trips more, where a client believes nothing that it knew. So it is spliced out of the page cache,
// as of the size that the lookup gave. (Before Linux 6.5 the attributes are asked for all the same.)
func (d *Dir) ReadFile(name string, most int) ([]byte, error) {
	file, err := d.OpenFile(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, d.err("pipe", err)
	}
	defer func() { _, _ = unix.Close(pipe[0]), unix.Close(pipe[1]) }()
	data := make([]byte, most)
	for read := 0; ; {
		n, err := unix.Splice(int(file.Fd()), nil, pipe[1], nil, most-read, 0) // none are left to read: it does nothing
		if err != nil {
			return nil, &os.PathError{Op: "splice", Path: file.Name(), Err: err}
		}
		if n == 0 {
			return data[:read], nil
		}
		if err := readFull(pipe[0], data[read:read+int(n)]); err != nil {
			return nil, &os.PathError{Op: "read", Path: file.Name(), Err: err}
		}
		read += int(n)
	}
}

// readFull reads what is in a pipe.
func readFull(pipe int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Read(pipe, data)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// LinkTo gives the file that is held another name, on the same mount; fs.ErrExist if that is taken, fs.ErrNotExist if
// the file has no name any more.
func (d *Dir) LinkTo(to *Dir, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := unix.Linkat(unix.AT_FDCWD, d.proc(), to.fd, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: d.name, New: to.join(name), Err: err}
	}
	return nil
}

// OfFile is what Entry would hold of an open file, as long as that is open. It is not to be closed.
func OfFile(file *os.File) *Dir { return &Dir{fd: int(file.Fd()), name: file.Name()} }

// LinkContent is the content of the symbolic link that is held.
func (d *Dir) LinkContent() (string, error) {
	var content [maxLink + 1]byte
	n, err := unix.Readlinkat(d.fd, "", content[:])
	if err != nil {
		return "", d.err("readlink", err)
	}
	return string(content[:n]), nil
}

// XattrNames lists the extended attributes; none where the file system has none.
func (d *Dir) XattrNames() ([]string, error) {
	list := make([]byte, 1<<10) // which most do with
	n, err := unix.Listxattr(d.proc(), list)
	if errors.Is(err, unix.ERANGE) {
		list = make([]byte, maxXattr)
		n, err = unix.Listxattr(d.proc(), list)
	}
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, d.err("listxattr", err)
	}
	var names []string
	for name := range bytes.SplitSeq(list[:n], []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}

// SetTimes sets the times of reading and of change, in nanoseconds; of a link, its own.
func (d *Dir) SetTimes(read, changed unix.Timespec) error {
	return d.err("utimens", unix.UtimesNanoAt(unix.AT_FDCWD, d.proc(), []unix.Timespec{read, changed}, 0))
}

// Mknod makes a FIFO, a socket or a device of this kind and mode less the process's umask; fs.ErrExist if the name is
// taken.
func (d *Dir) Mknod(name string, mode uint32, device uint64) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := unix.Mknodat(d.fd, name, mode, int(device)); err != nil {
		return &os.PathError{Op: "mknod", Path: d.join(name), Err: err}
	}
	return nil
}
