// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// trialTime is how long both clients have for the bricks that may just be coming back: a client tries to connect every three seconds.
const trialTime = 5 * time.Second

// Replace starts another client beside c, with the same volume and options, and makes it the one of their slot if isBetter says so of
// what both tell of their bricks at the same time (nil of a c that has not told since this process found it). Else, and after an error, nothing of it is left, and what it returns is nil.
//
// What is mounted from c is then repaired as if c were dead (see KeptMounts), but its process goes on until nobody has a file of it
// open any more, and its end is no death. Replace returns when ctx is done, or the Host is closed. It is not for a Host with a mounter.
func (h *Host) Replace(ctx context.Context, c *Client, isBetter func(now, trial *meta.Reading) bool) (by *Client, err error) {
	end := h.beginStart()
	if end == nil {
		return nil, errEnding
	}
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.lifetime, cancel)() //nolint:contextcheck // it ends with whichever ends first
	s := c.slot
	clusters, err := h.clusters.Current()
	if err != nil {
		return nil, err
	}
	cluster, err := clusters.Find(s.volume)
	if err != nil {
		return nil, err
	}
	lock, err := s.dir.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	if from(&s.state, (*slotState).latest) != c || c.HasEnded() {
		return nil, nil
	}
	start := s.newStart(cluster)
	trial, err := s.launch(ctx, start, lock)
	if err != nil {
		return nil, err
	}
	isKept := false
	defer func() {
		if !isKept { // also after a panic
			err = errors.Join(err, start.Abandon(trial))
		}
	}()
	if !isBetterOf(ctx, c, trial, isBetter) {
		return nil, err
	}
	// In this order: who looks in between finds two that work, not none.
	if err := trial.MakeUsable(); err != nil {
		return nil, err
	}
	if err := s.keepDeadMount(statedir.StartOf(c.mountpoint), lock); err != nil {
		return nil, err
	}
	c.replaced.Store(true)
	isKept = true
	by = s.client(trial)
	s.state.with(func(s *slotState) { s.replace(c, by) })
	s.clientCame(ctx, by)
	return by, nil
}

// isBetterOf asks both clients, when both have had the time to connect.
func isBetterOf(ctx context.Context, c *Client, trial *starts.Running, isBetter func(now, trial *meta.Reading) bool) bool {
	if !pause(ctx, trialTime) {
		return false
	}
	var both panics.Group
	both.Go(func() { c.Checkup(ctx) })
	both.Go(func() { trial.Prober.Checkup(ctx) })
	both.Wait()
	told := trial.Prober.Observed().Reading
	return told != nil && isBetter(c.Observed().Reading, told)
}
