// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// PowerCut is PowerOff and PowerOn: a short loss of power at these servers.
func (c *Cluster) PowerCut(servers ...int) error {
	if err := c.PowerOff(servers...); err != nil {
		return err
	}
	return c.PowerOn(servers...)
}

// PowerOff takes the power from servers, from all at the same moment. What their bricks' file systems have not yet
// written is lost, with it all that was only in their logs' memory, and their processes end. It is for bricks with a
// file system of their own; what glusterd remembers itself is not on it, and stays. When it returns, the file systems
// are unmounted.
func (c *Cluster) PowerOff(servers ...int) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	var disks []*disk
	for _, i := range servers {
		own := c.servers[i].ownDisks()
		if len(own) == 0 {
			return fmt.Errorf("server %d has no brick with a file system of its own, so it would lose nothing", i)
		}
		disks = append(disks, own...)
	}
	cuts := make([]error, len(disks))
	var all sync.WaitGroup
	for i, d := range disks {
		all.Go(func() { cuts[i] = d.cut() })
	}
	all.Wait()
	err := errors.Join(cuts...)
	for _, i := range servers {
		err = errors.Join(err, c.KillServer(i))
	}
	for _, d := range disks {
		err = errors.Join(err, d.release(ctx))
	}
	return err
}

// PowerOn mounts the file systems of servers that have lost their power, which replay their logs, starts the servers,
// and returns when their bricks in started volumes accept connections again. Clients are connected a moment later (see
// Connected).
func (c *Cluster) PowerOn(servers ...int) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	group, groupContext := errgroup.WithContext(ctx)
	for _, i := range servers {
		group.Go(func() error { return c.servers[i].powerOn(groupContext) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return c.awaitBricks(ctx, func(b brick) bool {
		return slices.ContainsFunc(servers, func(i int) bool { return b.server == c.servers[i] })
	})
}

func (s *server) powerOn(ctx context.Context) error {
	for _, d := range s.ownDisks() {
		if err := d.powerOn(ctx); err != nil {
			return err
		}
	}
	return s.start(ctx)
}
