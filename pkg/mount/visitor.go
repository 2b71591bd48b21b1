// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// visitor is a thread that goes from mount namespace to mount namespace. It belongs
// to one goroutine, which hands it what to do there.
//
// A visited namespace is a container's, and nothing in it is to be trusted or waited
// for. So the thread works with descriptors only: its working directory is a /proc
// opened before, and paths begin at the namespace's root and are walked by walk.
type visitor struct {
	proc *os.File
	jobs chan func()
	done chan struct{} // closed when the thread holds nothing any more
	home int           // descriptor of the namespace that it came from
	at   *namespace
	root int // descriptor of the root of the namespace that it is in; -1 before the first

	thread string // its directory of /proc
}

// newVisitor starts the thread. It must be closed.
func newVisitor() (*visitor, error) {
	proc, err := os.OpenFile("/proc", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	v := &visitor{proc: proc, jobs: make(chan func()), done: make(chan struct{}), root: -1}
	started := make(chan error)
	go v.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("prepare a thread for other mount namespaces: %w", err)
	}
	return v, nil
}

// run never unlocks its thread, so that the runtime ends it with the goroutine.
func (v *visitor) run(started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread cannot end before the process, and what it sees is what
		// /proc/PID shows of the process. Held here, it is not taken again.
		go v.run(started)
		<-v.done
		runtime.UnlockOSThread()
		return
	}
	defer close(v.done)
	defer v.proc.Close()
	// setns(2) refuses a thread that shares its root and working directory.
	err := unix.Unshare(unix.CLONE_FS)
	if err == nil {
		v.home, err = unix.Openat(int(v.proc.Fd()), "thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		defer unix.Close(v.home)
		v.thread, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d/thread-self", v.proc.Fd()))
	}
	started <- err
	if err != nil {
		return
	}
	for job := range v.jobs {
		job()
	}
	if v.root >= 0 {
		unix.Close(v.root)
		// The thread ends some time after this goroutine, and until then would keep, and be found in, where it has been last.
		_ = unix.Setns(v.home, unix.CLONE_NEWNS)
	}
}

func (v *visitor) close() {
	close(v.jobs)
	<-v.done
}

// do runs f on the thread in ns, and waits.
func (v *visitor) do(ns *namespace, f func() error) error {
	var err error
	done := make(chan *panics.Panic, 1)
	v.jobs <- func() {
		done <- panics.Try(func() {
			if err = v.enter(ns); err == nil {
				err = f()
			}
		})
	}
	(<-done).Again()
	return err
}

func (v *visitor) enter(ns *namespace) error {
	if v.at == ns {
		return nil
	}
	v.at = nil
	if err := unix.Setns(ns.fd, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	if v.root >= 0 {
		unix.Close(v.root)
	}
	// The thread's root is now the namespace's, whatever those of its processes are.
	var err error
	if v.root, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open its root: %w", err)
	}
	if err := v.proc.Chdir(); err != nil {
		return fmt.Errorf("return to /proc: %w", err)
	}
	v.at = ns
	return nil
}

// list reads what is mounted in ns, seen from its root. A chrooted process's own
// mountinfo would be a part of it.
func (v *visitor) list(ns *namespace) (mounts *table, err error) {
	err = v.do(ns, func() (err error) {
		mounts, err = readTable(".")
		return err
	})
	return mounts, err
}

// open opens the root of m, or fails with errCovered if the path to m leads to
// another mount. To be called on the thread.
func (v *visitor) open(m *mounted, ask bool) (int, error) {
	fd, err := walk(v.root, m.Target, ask)
	if err != nil {
		return -1, err
	}
	return requireMount(fd, m.ID)
}

// requireMount returns fd if it is on the mount with this ID, else closes it. To be called on the thread.
func requireMount(fd, id int) (int, error) {
	got, err := mountID(".", fd)
	if err == nil && got != id {
		err = errCovered
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// descriptor is a path of /proc, the thread's working directory.
func descriptor(fd int) string { return fmt.Sprintf("thread-self/fd/%d", fd) }
