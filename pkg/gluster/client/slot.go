// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// slot is the place of one client: one (Gluster volume, client options).
type slot struct {
	host    *Host
	dir     statedir.Slot
	volume  gluster.Volume
	options []string // normalized

	state guarded[slotState]
}

func (s *slot) logger(ctx context.Context) klog.Logger {
	return klog.FromContext(ctx).WithValues("volume", s.volume, "options", s.options)
}

// clientCame is for what follows when a client has become the slot's.
func (s *slot) clientCame(ctx context.Context, c *Client) {
	if c.adopted {
		s.logger(ctx).Info("Found a running client", "pid", c.process.PID, "mountpoint", c.mountpoint)
	}
	if s.host.mounter == nil {
		go panics.Catch(context.WithoutCancel(ctx), "watch for a client's death", func() { s.host.watchDeath(c) })
		s.host.tellChange()
		tell(s.host.logs)
	}
}

// adopt makes a running client the slot's, if there is one and the slot has none.
func (s *slot) adopt(ctx context.Context) error {
	if !from(&s.state, (*slotState).hasNoClient) {
		return nil
	}
	if s.host.mounter != nil {
		return s.adoptBound(ctx)
	}
	lock, err := s.dir.TryLock()
	if errors.Is(err, statedir.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Unlock()
	s.state.with((*slotState).dropDead)
	c, err := s.findRunning(lock) // which may take its time, so nobody is kept from looking at the slot
	if err != nil || c == nil {
		return err
	}
	users, err := s.dir.TryJoinUsers()
	if err != nil {
		c.process.Forget()
		return err
	}
	s.offer(ctx, c, users)
	return nil
}

// offer makes c the client of the slot, unless somebody else has begun to find or start one: that one waits for the
// lock that the caller has, and will find c.
func (s *slot) offer(ctx context.Context, c *Client, users *statedir.Users) {
	if from(&s.state, func(s *slotState) bool { return s.offer(c, users) }) {
		s.clientCame(ctx, c)
		return
	}
	c.process.Forget()
	users.Close()
}
