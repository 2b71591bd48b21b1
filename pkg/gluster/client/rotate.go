// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// rotateInterval is how often at most the sizes of logs are looked at while clients write to them. It keeps the
// overshoot of a client that floods its log small. Nobody looks while no client writes.
const rotateInterval = 250 * time.Millisecond

// keepLogsSmall rotates logs that have grown too large, until ctx is done.
func (h *Host) keepLogsSmall(ctx context.Context) {
	w, err := watchLogs(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot be told what clients log; looking at the sizes of their logs at intervals",
			"interval", h.look)
	}
	for {
		panics.Catch(ctx, "rotation of logs", func() {
			w.arm(h.allSlots()) // before the look, so that nothing that is written falls between
			h.rotateLogs(ctx)
		})
		select {
		case <-ctx.Done():
			return
		case <-w.written():
		case <-h.logs: // a client has come, whose log is to be watched
		case <-time.After(h.look):
		}
		if !pause(ctx, rotateInterval) {
			return
		}
	}
}

// rotateLogs rotates the logs that have grown too large.
func (h *Host) rotateLogs(ctx context.Context) {
	for _, s := range h.allSlots() {
		reopen, err := clientlog.Rotate(s.dir.Log(), s.dir.OldLog())
		if reopen {
			err = s.reopenLogs()
		}
		if err != nil {
			s.logger(ctx).Error(err, "Cannot rotate a client's log; trying again")
		}
	}
}

// logWatch tells, once for each time that it is armed, that something was written in the directories of slots. A
// client that floods its log costs no more than one that writes a line now and then. Nil tells nothing.
type logWatch struct {
	inotify *os.File
	tells   chan struct{}
}

// watchLogs returns a logWatch that ends when ctx is done.
func watchLogs(ctx context.Context) (*logWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err) // a user has 128 by default
	}
	w := &logWatch{inotify: os.NewFile(uintptr(fd), "inotify"), tells: make(chan struct{}, 1)}
	context.AfterFunc(ctx, func() { _ = w.inotify.Close() })
	go panics.Catch(ctx, "watch of logs", w.read)
	return w, nil
}

// read returns when the watch is closed. What the events say does not matter.
func (w *logWatch) read() {
	var events [4096]byte
	for {
		if _, err := w.inotify.Read(events[:]); err != nil {
			return
		}
		tell(w.tells)
	}
}

// arm makes the watch tell what is written from now on. A slot whose directory is gone, or has not come, is left out.
func (w *logWatch) arm(slots []*slot) {
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
		for _, s := range slots {
			_, _ = unix.InotifyAddWatch(int(fd), string(s.dir), unix.IN_MODIFY|unix.IN_ONESHOT|unix.IN_ONLYDIR)
		}
	})
}

func (w *logWatch) written() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.tells
}

// reopenLogs signals all clients of the slot. Detached ones that serve their last users write to its log too.
func (s *slot) reopenLogs() error {
	clients, err := process.Find()
	errs := []error{err}
	for mountpoint, pid := range clients {
		if !s.dir.Contains(mountpoint) {
			continue
		}
		p, err := process.WatchClient(pid, mountpoint)
		if p != nil {
			err = p.Signal(unix.SIGHUP)
			p.Forget()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
