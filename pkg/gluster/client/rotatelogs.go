// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
)

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
	return s.eachProcess(func(p *process.Process) error { return p.Signal(unix.SIGHUP) })
}

// eachProcess calls do with all clients of the slot: also with those that were replaced or detached and serve their last users. It looks at all
// processes for that.
func (s *slot) eachProcess(do func(*process.Process) error) error {
	clients, err := process.Find(s.host.processesApart()...)
	errs := []error{err}
	for mountpoint, pid := range clients {
		if !s.dir.Contains(mountpoint) {
			continue
		}
		p, err := process.WatchClient(pid, mountpoint)
		if p != nil {
			err = do(p)
			p.Forget()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
