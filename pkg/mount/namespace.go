// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ask"
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
// for a process of that container. Whoever ends meanwhile is no error. One that gives no answer is (ETIMEDOUT), and holds up no other.
func (v *visitor) namespaces() (*namespaceSet, error) {
	found := &namespaceSet{known: map[string]bool{}}
	var err error
	if found.own, err = v.userNamespace(); err != nil {
		return found, err
	}
	pids, err := numbers("/proc")
	all, errAsked := ask.Processes(pids, tasksOf)
	err = errors.Join(err, errAsked)
	for _, t := range slices.Concat(all...) {
		if t.dir != v.thread {
			err = errors.Join(err, found.add(t))
		}
	}
	return found, err
}

// task is a process or a thread.
type task struct {
	pid       int // of its process
	id        int
	dir       string // below /proc
	namespace string // the name of its mount namespace; "" if that is not to be seen
}

// tasksOf lists a process and its other threads.
func tasksOf(pid int) ([]task, error) {
	all := []task{newTask(pid, pid, strconv.Itoa(pid))}
	dir := path.Join("/proc", all[0].dir, "task")
	if isSingle(dir) {
		return all, nil
	}
	threads, err := numbers(dir)
	for _, thread := range threads {
		if thread != pid {
			all = append(all, newTask(pid, thread, path.Join(all[0].dir, "task", strconv.Itoa(thread))))
		}
	}
	return all, err
}

func newTask(pid, id int, dir string) task {
	var buffer [64]byte
	t := task{pid: pid, id: id, dir: dir}
	if n, err := unix.Readlink(t.link(), buffer[:]); err == nil {
		t.namespace = string(buffer[:n])
	}
	return t
}

func (t task) link() string { return path.Join("/proc", t.dir, "ns/mnt") }

type namespaceSet struct {
	own   userNamespace
	known map[string]bool
	all   []*namespace
	// forbidden counts processes and threads of more rights than this process has.
	forbidden int
}

// add opens the namespace of a task. Its name tells whether it is known, and costs less than opening it.
func (s *namespaceSet) add(t task) error {
	if s.known[t.namespace] {
		return nil
	}
	fd, err := ask.Process(t.pid, func() (int, error) { return unix.Open(t.link(), unix.O_RDONLY|unix.O_CLOEXEC, 0) }, func(fd int) { unix.Close(fd) })
	switch {
	case gone(err):
		return nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		s.forbidden++
		return nil
	case err != nil:
		return fmt.Errorf("open the mount namespace of process %d: %w", t.id, err)
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
		return fmt.Errorf("user namespace that owns the mount namespace of process %d: %w", t.id, err)
	}
	s.all = append(s.all, &namespace{inode: stat.Ino, pid: t.id, fd: fd, foreign: owner != s.own, tried: map[int]bool{}})
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

// isSingle says that a task directory has one thread: each is a link to it.
func isSingle(tasks string) bool {
	var stat unix.Stat_t
	return unix.Stat(tasks, &stat) == nil && stat.Nlink == 3
}

// numbers lists the entries of a directory of /proc that are numbers, in the kernel's order,
// which is ascending.
func numbers(dir string) ([]int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	names, err := file.Readdirnames(-1)
	if err != nil && !gone(err) {
		return nil, fmt.Errorf("list %s: %w", dir, err)
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
