// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/cgroup"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// KeepApart has clients that are started from now on outlive this process's container, each in a control group of its own with these limits, which
// clients that run there get, too. Its errors say why they do not, wholly or in part: they are started all the same, but where they cannot have the programs
// in a root of their own, in the container's groups, to end with it: one that went on would keep the container's files and mounts. It is for the one that Keeps the
// state directory, before Run, and before the first Ensure.
func (h *Host) KeepApart(ctx context.Context, limits cgroup.Limits) error {
	if err := h.apart.Keep(limits); err != nil {
		return err
	}
	var errs []error
	for _, c := range h.Running() {
		errs = append(errs, h.apart.Limit(c.slot.volume, statedir.StartOf(c.mountpoint), c.process.PID))
	}
	h.apart.Sweep()
	return errors.Join(append(errs, h.apart.KeepPrograms(ctx, h.processesApart))...)
}

// processesApart are those that may be clients in other mount namespaces: what is in the groups, and, as not every client could be moved there, each that
// has been ready. A number may be another process's by now: who is a client is for process.Find to say.
func (h *Host) processesApart() (pids []int) {
	pids = h.apart.Processes()
	for _, s := range h.allSlots() {
		starts, _ := s.dir.Starts() // of a slot that is gone there is none
		kept, _ := s.dir.Kept()
		for _, start := range append(starts, kept...) {
			if pid, isReady := start.ReadyPID(); isReady {
				pids = append(pids, pid)
			}
		}
	}
	h.detached.with(func(all *[]*Client) {
		for _, c := range *all {
			if !c.HasEnded() {
				pids = append(pids, c.process.PID)
			}
		}
	})
	return pids
}

// LeaveApart removes what KeepApart has made, as far as no client needs it: those that were detached are waited for, for a moment. It is for
// the end of the process, after DetachIdle: a start needs what is removed.
func (h *Host) LeaveApart(ctx context.Context) {
	if !h.apart.IsKept() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := h.detachReplaced(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Cannot detach the clients that were replaced")
	}
	for h.isLeft() && pause(ctx, 10*time.Millisecond) {
	}
	if err := h.apart.Remove(h.processesApart); err != nil {
		klog.FromContext(ctx).Error(err, "Cannot remove the programs of clients that have ended")
	}
}

// leaveTimeout is how long LeaveApart waits. A client ends some 10 ms after its last user.
const leaveTimeout = 2 * time.Second

// detachReplaced detaches the clients that were replaced and that nothing is mounted from any more, in whatever mount namespace: they end with the last file
// that is open. The others stay as dead ones do, whose mounts the next Host needs to repair what containers have of them.
func (h *Host) detachReplaced(ctx context.Context) error {
	entries, err := mount.List()
	if err != nil {
		return err
	}
	errs := []error{}
	for _, s := range h.allSlots() {
		errs = append(errs, s.detachReplaced(ctx, entries))
	}
	return errors.Join(errs...)
}

func (s *slot) detachReplaced(ctx context.Context, entries []mount.Entry) error {
	lock, err := s.dir.Lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	kept, err := s.dir.Kept()
	errs := []error{err}
	for _, start := range kept {
		c := &Client{slot: s, mountpoint: start.Mountpoint()}
		i := slices.IndexFunc(entries, func(e mount.Entry) bool { return e.Target == c.mountpoint || e.Target == start.Spare() })
		pid, isReady := start.ReadyPID()
		if i < 0 || !isReady {
			continue
		}
		if c.process, err = process.WatchClient(pid, start.StartedAt()); err != nil || c.process == nil {
			errs = append(errs, err)
			continue
		}
		if isShown, err := mount.IsShown(entries[i].Device, c.mountpoint, start.Spare()); isShown || err != nil {
			c.process.Forget()
			errs = append(errs, err)
			continue
		}
		s.host.detached.with(func(all *[]*Client) { *all = append(*all, c) })
		errs = append(errs, start.Discard())
	}
	return errors.Join(errs...)
}

// isLeft says whether a client that was detached has not ended yet.
func (h *Host) isLeft() bool {
	return from(&h.detached, func(all *[]*Client) bool {
		return slices.ContainsFunc(*all, func(c *Client) bool { return !c.HasEnded() })
	})
}
