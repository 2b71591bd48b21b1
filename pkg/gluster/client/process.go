// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// program is the FUSE client of GlusterFS.
	program = "glusterfs"
	// endTimeout is how long a killed process may take to end; what it waits for in the kernel is its own mount, which it closes.
	endTimeout = 5 * time.Second
)

// process is a client's process, own child or adopted, held by a pidfd: a reused pid is never mistaken for it.
type process struct {
	pid    int
	pidfd  *os.File
	exited chan struct{} // closed when it has ended; stays open after forget
	child  bool          // launched here
}

// launch starts the client program in a session of its own, so that neither a signal to this process's group nor its end
// reaches it. What it prints before it has its log open goes to the file stderr.
func launch(args []string, stderr string) (*process, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("find the program %s (Debian package glusterfs-client): %w", program, err)
	}
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
	child, err := os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{
		Dir: "/", Files: []*os.File{null, output, output}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
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

// watch holds a running process and sees its end. The caller makes sure afterwards that it is the one that was meant.
func watch(pid int, child bool) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for os.NewFile: the runtime's poller waits, not a thread
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	p := &process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd"), exited: make(chan struct{}), child: child}
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
		// A child of this process must be reaped, also when it was adopted from another Host; for others this is ECHILD.
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
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

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// signal sends a signal. One that has ended already is no error.
func (p *process) signal(sig unix.Signal) error {
	conn, err := p.pidfd.SyscallConn()
	if err == nil {
		var sendErr error
		err = errors.Join(conn.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }), sendErr)
	}
	if p.hasExited() || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// end kills the process and waits until it has ended.
func (p *process) end() error {
	if err := p.signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("kill client process %d: %w", p.pid, err)
	}
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		return fmt.Errorf("client process %d has not ended %v after SIGKILL", p.pid, endTimeout)
	}
}

// forget stops watching. It may be called again. A child of this process is watched to its end all the same: nobody else would
// reap it.
func (p *process) forget() {
	if !p.child {
		_ = p.pidfd.Close()
	}
}

// clientProcesses finds the running clients of this mount namespace, as mount point → pid. A client is recognised by its
// program and its last argument. A process in another mount namespace is none of ours, whatever a pod calls it.
func clientProcesses() (map[string]int, error) {
	namespace, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		mountpoint, ok := clientMountpoint(pid)
		if !ok {
			continue
		}
		if other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid)); err != nil || other != namespace {
			continue
		}
		// A client forks now and then, and until its child runs another program, the two look alike.
		if parent, err := clientMountpointOfParent(pid); err != nil || parent != mountpoint {
			found[mountpoint] = pid
		}
	}
	return found, nil
}

func clientMountpointOfParent(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// Fields 3 and 4 of proc_pid_stat(5) follow the command's name, which may hold anything, in parentheses.
	_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return "", fmt.Errorf("malformed stat of process %d", pid)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return "", err
	}
	mountpoint, _ := clientMountpoint(parent)
	return mountpoint, nil
}

// clientMountpoint is the last argument of a process that is a client. One that ended has no arguments any more.
func clientMountpoint(pid int) (string, bool) {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", false
	}
	args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	// Under user-mode emulation the emulator comes first.
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			break
		}
		if filepath.Base(arg) == program {
			return args[len(args)-1], len(args) > 1
		}
	}
	return "", false
}
