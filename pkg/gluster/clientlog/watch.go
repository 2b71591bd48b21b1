// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// watch tells, once for each time that it is armed, that something was written in directories. A
// client that floods its log costs no more than one that writes a line now and then. Nil tells nothing.
type watch struct {
	inotify *os.File
	tells   chan struct{}
}

// newWatch returns a watch that ends when ctx is done.
func newWatch(ctx context.Context) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err) // a user has 128 by default
	}
	w := &watch{inotify: os.NewFile(uintptr(fd), "inotify"), tells: make(chan struct{}, 1)}
	context.AfterFunc(ctx, func() { _ = w.inotify.Close() })
	go panics.Catch(ctx, "watch of logs", w.read)
	return w, nil
}

// read returns when the watch is closed. What the events say does not matter.
func (w *watch) read() {
	var events [4096]byte
	for {
		if _, err := w.inotify.Read(events[:]); err != nil {
			return
		}
		select {
		case w.tells <- struct{}{}:
		default: // it was told before, and nobody has looked yet
		}
	}
}

// arm makes the watch tell what is written in these directories from now on. One that is gone, or has not come, is left out.
func (w *watch) arm(dirs []string) {
	if w == nil {
		return
	}
	select {
	case <-w.tells: // that the watch of a directory has ended with what was told last
	default:
	}
	conn, err := w.inotify.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = conn.Control(func(fd uintptr) {
		for _, dir := range dirs {
			_, _ = unix.InotifyAddWatch(int(fd), dir, unix.IN_MODIFY|unix.IN_ONESHOT|unix.IN_ONLYDIR)
		}
	})
}

// written tells once after each arm.
func (w *watch) written() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.tells
}
