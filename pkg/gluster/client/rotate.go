// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
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
	w, err := clientlog.NewWatch(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot be told what clients log; looking at the sizes of their logs at intervals",
			"interval", h.look)
	}
	for {
		panics.Catch(ctx, "rotation of logs", func() {
			w.Arm(h.logDirs()) // before the look, so that nothing that is written falls between
			h.rotateLogs(ctx)
		})
		select {
		case <-ctx.Done():
			return
		case <-w.Written():
		case <-h.logs: // a client has come, whose log is to be watched
		case <-time.After(h.look):
		}
		if !pause(ctx, rotateInterval) {
			return
		}
	}
}

// logDirs are the directories that clients log to.
func (h *Host) logDirs() []string {
	var dirs []string
	for _, s := range h.allSlots() {
		dirs = append(dirs, string(s.dir))
	}
	return dirs
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
