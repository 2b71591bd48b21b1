// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// settleTime is how long a new client may say that it is not connected: 1.5 s pass until it notices bricks that return.
const settleTime = 3 * time.Second

// awaitReady waits until the client is mounted and answers.
func (r *Running) awaitReady(ctx, lifetime context.Context) error {
	device, err := r.awaitMount(ctx)
	if err != nil {
		return err
	}
	r.mounted(lifetime, device)
	const pause = 25 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	settled := time.Now().Add(settleTime)
	for {
		err := r.Prober.Probe(ctx)
		if err == nil || !errors.Is(err, unix.ENOTCONN) || time.Now().After(settled) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// awaitMount waits until mountinfo shows the client. The kernel says when mountinfo changes (proc_pid_mountinfo(5)).
func (r *Running) awaitMount(ctx context.Context) (mount.Device, error) {
	const pollInterval = 20 // milliseconds until ctx and the process are looked at again
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return mount.Device{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	changed := true
	for {
		if changed {
			at, err := mount.At(r.Mountpoint)
			if err != nil {
				return mount.Device{}, err
			}
			if len(at) > 0 && at[len(at)-1].FSType == FSType {
				return at[len(at)-1].Device, nil
			}
		}
		if r.Process.HasExited() {
			return mount.Device{}, fmt.Errorf("%w: process %d has ended", probe.ErrGone, r.Process.PID)
		}
		if err := context.Cause(ctx); err != nil {
			return mount.Device{}, fmt.Errorf("nothing was mounted in time: %w", err)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, pollInterval)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return mount.Device{}, fmt.Errorf("wait for mountinfo: %w", err)
		}
		changed = n > 0
	}
}
