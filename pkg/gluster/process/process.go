// SPDX-License-Identifier: Apache-2.0

// Package process is one client's process: how it is started, found among all others, held, signalled and ended. It
// knows GlusterFS's client program and how its arguments end, and nothing of what the client is for.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

const (
	// program is the FUSE client of GlusterFS.
	program = "glusterfs"
	// endTimeout is how long a killed process may take to end; what it waits for in the kernel is its own mount,
	// which it closes.
	endTimeout = 5 * time.Second
)

// Process is a client's process, own child or adopted, held by a pidfd: a reused pid is never mistaken for it.
type Process struct {
	PID    int
	pidfd  *os.File
	exited chan struct{} // closed when it has ended; stays open after Forget
	child  bool          // launched here
	ending Ending        // not read before exited is closed
}

// Ending is how a process has ended.
type Ending string

// The endings. Only a child's is known.
const (
	EndUnknown Ending = "unknown"
	EndExited  Ending = "exited"  // by itself, or on a signal that it has a handler for (SIGTERM)
	EndKilled  Ending = "killed"  // SIGKILL: by the kernel for want of memory, or by hand
	EndCrashed Ending = "crashed" // any other signal
)

func endingOf(status unix.WaitStatus) Ending {
	switch {
	case !status.Signaled():
		return EndExited
	case status.Signal() == unix.SIGKILL:
		return EndKilled
	}
	return EndCrashed
}

// Place moves the calling thread, and what it starts, to where a client is to run, in another mount namespace and root. The thread ends then. nil is
// where this process is.
type Place func() error

// ErrPlace says that a Place failed: no client was started.
var ErrPlace = errors.New("a client cannot be started at its place")

// Launch starts the client program at a place, in a session of its own, so that neither a signal to this process's group nor
// its end reaches it. What it prints before it has its log open goes to the file stderr. Unless it is nil, the process has
// the file inherited, as the descriptor after the first three.
func Launch(at Place, args []string, stderr string, inherited *os.File) (*Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	output, err := os.OpenFile(stderr, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()
	files := []*os.File{null, output, output}
	if inherited != nil {
		files = append(files, inherited)
	}
	child, err := at.start(args, files...)
	if err != nil {
		return nil, err
	}
	p, err := watch(child.Pid, true) // nobody else reaps it, so the pid is still its own
	if err != nil {
		_ = child.Kill()
		_, _ = child.Wait()
		return nil, err
	}
	_ = child.Release()
	return p, nil
}

// start starts the client program with these files.
func (at Place) start(args []string, files ...*os.File) (child *os.Process, err error) {
	start := func() error {
		path, err := exec.LookPath(program)
		if err != nil {
			return fmt.Errorf("find the program %s (Debian package glusterfs-client): %w", program, err)
		}
		child, err = os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{
			Dir: "/", Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
		})
		if err != nil {
			return fmt.Errorf("start %s: %w", path, err)
		}
		return nil
	}
	if at == nil {
		return child, start()
	}
	err = thread.Discard(func() error {
		if err := at(); err != nil {
			return fmt.Errorf("%w: %w", ErrPlace, err)
		}
		return start()
	})
	return child, err
}

// watch holds a running process and sees its end. The caller makes sure afterwards that it is the one that was meant.
func watch(pid int, child bool) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for os.NewFile: the runtime's poller waits, not a thread
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	p := &Process{PID: pid, pidfd: os.NewFile(uintptr(fd), "pidfd"), exited: make(chan struct{}), child: child, ending: EndUnknown}
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		_ = p.pidfd.Close()
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	go func() {
		defer func() { _ = p.pidfd.Close() }()
		if err := conn.Read(ended); err != nil {
			return // forgotten
		}
		// A child of this process must be reaped, also when it was adopted from another Host; for others this is
		// ECHILD.
		var status unix.WaitStatus
		if reaped, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err == nil && reaped == pid {
			p.ending = endingOf(status)
		}
		close(p.exited)
	}()
	return p, nil
}

// ended says whether a pidfd's process has ended, without waiting.
func ended(pidfd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// Exited is closed when the process has ended. It stays open after Forget.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// HasExited says whether the process has ended.
func (p *Process) HasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// IsRunning asks the kernel, which knows of an end before HasExited does: as long as it is true, the PID is no other process's.
func (p *Process) IsRunning() bool {
	conn, err := p.pidfd.SyscallConn()
	hasEnded := false
	if err == nil {
		err = conn.Control(func(fd uintptr) { hasEnded = ended(fd) })
	}
	return err == nil && !hasEnded // it is closed when the end was seen
}

// Ending is how the process has ended: EndUnknown of one that runs, or is no child of this process.
func (p *Process) Ending() Ending {
	if !p.HasExited() {
		return EndUnknown
	}
	return p.ending
}

// Signal sends a signal. One that has ended already is no error.
func (p *Process) Signal(sig unix.Signal) error {
	conn, err := p.pidfd.SyscallConn()
	if err == nil {
		var sendErr error
		err = errors.Join(conn.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }), sendErr)
	}
	if p.HasExited() || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// End kills the process and waits until it has ended.
func (p *Process) End() error {
	if err := p.Signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("kill client process %d: %w", p.PID, err)
	}
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		return fmt.Errorf("client process %d has not ended %v after SIGKILL", p.PID, endTimeout)
	}
}

// Forget stops watching. It may be called again. A child of this process is watched to its end all the same: nobody
// else would reap it.
func (p *Process) Forget() {
	if !p.child {
		_ = p.pidfd.Close()
	}
}

// Use is what a process has of the host.
type Use struct {
	Memory      int64 // resident, in bytes
	Descriptors int   // that it has open
}

// Use asks the kernel, which asks no file system for it. An error says that the process has ended, or is not to be seen.
func (p *Process) Use() (Use, error) {
	of, err := procfs.NewProc(p.PID)
	if err != nil {
		return Use{}, err
	}
	stat, err := of.Stat()
	if err != nil {
		return Use{}, err
	}
	descriptors, err := of.FileDescriptorsLen()
	return Use{Memory: int64(stat.ResidentMemory()), Descriptors: descriptors}, err
}
