// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// idleGrace is how long a client stays after its last use. It is longer than any RPC, so that a caller of Ensure has
// time to use the client, and spares a pod that is replaced the new start.
const idleGrace = time.Minute

// DetachStarted closes the Host and leaves no client behind that it has started and that nobody uses: starts under
// way are ended, and clients are detached without the grace, and waited for until ctx is done. Clients that are held,
// bound somewhere, or used by another Host stay. It is for a command that had to start clients for itself.
func (h *Host) DetachStarted(ctx context.Context) error {
	h.endStarts()
	defer h.Close()
	return h.detachStarted(ctx)
}

// DetachIdle detaches the clients that nothing is bound from here, without the grace. One that another Host uses is
// waited for until ctx is done, and then stays. It is for a process that ends together with its clients: what is left
// of those would otherwise stay on the host, dead. Run must have ended; starts under way are ended, and none begins any more.
func (h *Host) DetachIdle(ctx context.Context) error {
	h.endStarts()
	for {
		left, err := h.detachIdle(ctx)
		if err != nil || left == 0 || !pause(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// detachIdle is one attempt of DetachIdle. It returns how many clients are idle here and used by another Host.
func (h *Host) detachIdle(ctx context.Context) (left int, err error) {
	entries, err := mount.List()
	if err != nil {
		return 0, err
	}
	for _, s := range h.allSlots() {
		c := from(&s.state, (*slotState).latest)
		if c == nil || c.process.HasExited() || isBound(entries, c) { // a dead one is for the next Host to repair
			continue
		}
		detached, errDetach := s.detachIdle(ctx, 0)
		if errDetach == nil && !detached {
			left++
		}
		err = errors.Join(err, errDetach)
	}
	return left, err
}

func (h *Host) detachStarted(ctx context.Context) error {
	var errs []error
	for _, s := range h.allSlots() {
		c := from(&s.state, (*slotState).latest)
		if c == nil || c.adopted {
			continue
		}
		detached, err := s.detachIdle(ctx, 0)
		if err != nil || !detached {
			errs = append(errs, err)
			continue
		}
		select {
		case <-c.process.Exited():
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("client process %d of %s has not ended since it was detached: %w",
				c.process.PID, s.volume, context.Cause(ctx)))
		}
	}
	return errors.Join(errs...)
}

// detachIdleClients is one look at all clients.
func (h *Host) detachIdleClients(ctx context.Context) {
	for _, s := range h.allSlots() {
		if c := from(&s.state, (*slotState).latest); c == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, LookInterval)
		if _, err := s.detachIdle(ctx, h.grace); err != nil {
			s.logger(ctx).Error(err, "Cannot detach an idle client; trying again")
		}
		cancel()
	}
}

// detachIdle detaches the slot's client if nobody has used it for the time of grace. The kernel decides about what is
// bound or opened meanwhile: that keeps the process.
func (s *slot) detachIdle(ctx context.Context, grace time.Duration) (bool, error) {
	if !from(&s.state, func(s *slotState) bool { return s.client.isUnused(grace) }) {
		return false, nil // the usual case, without the lock
	}
	lock, err := s.dir.Lock(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Unlock()
	entries, err := mount.List()
	if err != nil {
		return false, err
	}
	var c *Client
	var users *statedir.Users
	s.state.with(func(s *slotState) { c, users, err = s.removeIdle(entries, grace) })
	if err != nil || c == nil {
		return false, err
	}
	c.detached.Store(true)
	s.host.detached.with(func(all *[]*Client) {
		*all = append(slices.DeleteFunc(*all, (*Client).HasEnded), c)
	})
	defer users.Close() // not before the mount point is gone: see slot.joinRunning
	s.logger(ctx).Info("Detaching an idle client", "pid", c.process.PID, "mountpoint", c.mountpoint)
	return true, statedir.StartOf(c.mountpoint).Discard()
}

// isBound says whether a client is mounted elsewhere than at its own mount points.
func isBound(entries []mount.Entry, c *Client) bool {
	return slices.ContainsFunc(entries, func(e mount.Entry) bool {
		return e.Device == c.device && !c.slot.dir.Contains(e.Target)
	})
}

// releaseIdle stops being a user of clients that are idle here, so that the mounter may detach them.
func (h *Host) releaseIdle() error {
	entries, err := mount.List()
	if err != nil {
		return err
	}
	for _, s := range h.allSlots() {
		s.state.with(func(s *slotState) { s.releaseIdle(entries, h.grace) })
	}
	return nil
}

// isUnused says whether there is a client that nobody has held for the time of grace, as far as this process knows.
func (c *slotClient) isUnused(grace time.Duration) bool {
	return c.Client != nil && c.holds == 0 && time.Since(c.used) >= grace
}

// isIdle says that nobody has used the client for the time of grace and that it is mounted nowhere else. A mount is a
// use.
func (s *slotState) isIdle(entries []mount.Entry, grace time.Duration) bool {
	if !s.client.isUnused(grace) {
		return false
	}
	if isBound(entries, s.client.Client) {
		s.client.used = time.Now()
		return false
	}
	return true
}

// removeIdle empties the slot and returns the client that was in it, or nil if it is in use, by another process too, or
// dead: what containers alone still show of a dead one can be repaired only as long as its own mount is kept
// (TestADeadClientIsNotDetachedAsAnIdleOne). Nobody else becomes a user of it until users are closed. The caller has
// the slot's Lock.
func (s *slotState) removeIdle(
	entries []mount.Entry, grace time.Duration,
) (c *Client, users *statedir.Users, err error) {
	if !s.client.isRunning() || !s.isIdle(entries, grace) {
		return nil, nil, nil
	}
	if alone, err := s.client.users.TryAlone(); err != nil || !alone {
		return nil, nil, err
	}
	c, users = s.client.Client, s.client.users
	s.client.users = nil
	s.clear()
	return c, users, nil
}

// releaseIdle stops being a user of an idle client, so that the mounter may detach it.
func (s *slotState) releaseIdle(entries []mount.Entry, grace time.Duration) {
	if s.isIdle(entries, grace) {
		s.client.process.Forget()
		s.clear()
	}
}
