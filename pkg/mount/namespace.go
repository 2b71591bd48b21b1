// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// namespace is a mount namespace. While it is open it exists, even if all its
// processes end, and so no other has its inode number.
type namespace struct {
	inode uint64
	pid   int // the first process or thread found in it
	fd    int
	// foreign says that another user namespace than this process's owns it.
	foreign bool
	tried   map[int]bool // IDs of mounts that this pass has repaired, or could not repair
}

func (ns *namespace) close() { unix.Close(ns.fd) }

// namespaces opens every mount namespace that a process has, each once, in the order
// of process IDs. A process may have threads with namespaces of their own; looking
// at all of them costs a few microseconds each and is done because such a namespace
// keeps a dead device as any other does. The visitor's own thread is left out: it is wherever it has been last, and would be taken
// for a process of that container. Whoever ends meanwhile is no error.
func (v *visitor) namespaces() (*namespaceSet, error) {
	found := &namespaceSet{proc: int(v.proc.Fd()), known: map[string]bool{}}
	var err error
	if found.own, err = v.userNamespace(); err != nil {
		return found, err
	}
	pids, err := found.numbers(".")
	for _, pid := range pids {
		dir := strconv.Itoa(pid)
		err = errors.Join(err, found.add(dir, pid))
		tasks := path.Join(dir, "task")
		if found.single(tasks) {
			continue
		}
		threads, errThreads := found.numbers(tasks)
		err = errors.Join(err, errThreads)
		for _, thread := range threads {
			if task := path.Join(tasks, strconv.Itoa(thread)); thread != pid && task != v.thread {
				err = errors.Join(err, found.add(task, thread))
			}
		}
	}
	return found, err
}

type namespaceSet struct {
	proc  int // descriptor of /proc; all paths are relative to it
	own   userNamespace
	known map[string]bool
	all   []*namespace
	// forbidden counts processes and threads of more rights than this process has.
	forbidden int
}

// add opens the namespace of the process or thread with this directory of /proc.
// Its name tells whether it is known, and costs less than opening it.
func (s *namespaceSet) add(dir string, pid int) error {
	var buffer [64]byte
	link := path.Join(dir, "ns/mnt")
	n, err := unix.Readlinkat(s.proc, link, buffer[:])
	if err == nil && s.known[string(buffer[:n])] {
		return nil
	}
	fd, err := unix.Openat(s.proc, link, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case gone(err):
		return nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		s.forbidden++
		return nil
	case err != nil:
		return fmt.Errorf("open the mount namespace of process %d: %w", pid, err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		unix.Close(fd)
		return err
	}
	// It may have moved on since its link was read.
	name := fmt.Sprintf("mnt:[%d]", stat.Ino)
	if s.known[name] {
		unix.Close(fd)
		return nil
	}
	s.known[name] = true
	owner, err := ownerOf(fd)
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("user namespace that owns the mount namespace of process %d: %w", pid, err)
	}
	s.all = append(s.all, &namespace{inode: stat.Ino, pid: pid, fd: fd, foreign: owner != s.own, tried: map[int]bool{}})
	return nil
}

// userNamespace tells one user namespace from another. The zero value is one that this process may not see.
type userNamespace struct{ device, inode uint64 }

// userNamespace is that of this process.
func (v *visitor) userNamespace() (userNamespace, error) {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(v.proc.Fd()), "self/ns/user", &stat, 0); err != nil {
		return userNamespace{}, fmt.Errorf("user namespace of this process: %w", err)
	}
	return userNamespace{stat.Dev, stat.Ino}, nil
}

// ownerOf returns the user namespace that owns a mount namespace. What its processes may do to the mounts in it is
// decided there, and by the locks that the kernel has put on mounts that came from a namespace with another owner.
func ownerOf(fd int) (userNamespace, error) {
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if errors.Is(err, unix.EPERM) {
		return userNamespace{}, nil // one beside, or above, that of this process
	}
	if err != nil {
		return userNamespace{}, err
	}
	defer unix.Close(owner)
	var stat unix.Stat_t
	err = unix.Fstat(owner, &stat)
	return userNamespace{stat.Dev, stat.Ino}, err
}

// single says that a task directory has one thread: each is a link to it.
func (s *namespaceSet) single(tasks string) bool {
	var stat unix.Stat_t
	return unix.Fstatat(s.proc, tasks, &stat, 0) == nil && stat.Nlink == 3
}

// numbers lists the entries of a directory that are numbers, in the kernel's order,
// which is ascending.
func (s *namespaceSet) numbers(dir string) ([]int, error) {
	fd, err := unix.Openat(s.proc, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s of /proc: %w", dir, err)
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	names, err := file.Readdirnames(-1)
	if err != nil && !gone(err) {
		return nil, fmt.Errorf("list %s of /proc: %w", dir, err)
	}
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// gone says that a process has ended (or is a zombie, which is nowhere).
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}
