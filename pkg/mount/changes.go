// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// Changes delivers something after a mount was made, moved, changed or detached in the mount namespace of this process, or
// of the first process that its /proc shows (with the host's, where a container runtime prepares what it starts). What the
// receiver missed while it was busy is one delivery. Waiting costs nothing. It ends when ctx is done, and is nil if the
// kernel cannot be asked.
func Changes(ctx context.Context) (<-chan struct{}, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch mountinfo: %w", err)
	}
	// proc_pid_mountinfo(5): a change makes poll(2) say POLLPRI and POLLERR, once.
	fds := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
	for _, path := range []string{"/proc/self/mountinfo", "/proc/1/mountinfo"} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil && path == "/proc/self/mountinfo" {
			unix.Close(wake)
			return nil, &os.PathError{Op: "watch", Path: path, Err: err}
		}
		if err == nil { // else this process has no right to see the host's, and does without
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLPRI})
		}
	}
	changes := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		panics.Catch(ctx, "watch of mountinfo", func() { forwardChanges(fds, changes) })
	}()
	go func() {
		<-ctx.Done()
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // which cannot fail: it is the first one
		<-ended
		for _, fd := range fds {
			unix.Close(int(fd.Fd))
		}
	}()
	return changes, nil
}

// forwardChanges returns when the first descriptor can be read.
func forwardChanges(fds []unix.PollFd, changes chan<- struct{}) {
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || fds[0].Revents != 0 {
			return
		}
		select {
		case changes <- struct{}{}:
		default: // it will be looked at soon
		}
	}
}
