// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

const (
	// startTimeout is longer than ping-timeout (42 s by default): a client comes up even where one of its servers is silently gone.
	startTimeout = 50 * time.Second
	// settleTime is how long a new client may say that it is not connected: 1.5 s pass until it notices bricks that return.
	settleTime = 3 * time.Second
)

// attempt is one start of a client, with what is needed to say why it failed. Callers that stop waiting read it too.
type attempt struct {
	slot    *slot
	servers []string

	mu      sync.Mutex
	began   bool // the client was run, or is about to be
	answers glusterd.Answers
	logFrom int64 // where in the log this start begins
}

// start runs the client on a fresh mount point and returns it when it is mounted and answers. After an error nothing of it is
// left. The caller has the slot's lock.
func (a *attempt) start(ctx context.Context) (*Client, error) {
	s := a.slot
	began := time.Now()
	if err := s.describe(); err != nil {
		return nil, fmt.Errorf("prepare the start of a client: %w", err)
	}
	start, err := os.MkdirTemp(s.dir, startPrefix)
	if err != nil {
		return nil, fmt.Errorf("prepare the start of a client: %w", err)
	}
	mountpoint := filepath.Join(start, mountName)
	if err := os.Mkdir(mountpoint, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the start of a client: %w", err), discard(start))
	}
	a.begin(glusterd.Probe(ctx, a.servers))
	p, err := launch(a.arguments(mountpoint), filepath.Join(s.dir, stderrFile))
	if err != nil {
		return nil, errors.Join(a.explain(gluster.ErrUnreachable, err), discard(start))
	}
	c := &Client{slot: s, process: p, mountpoint: mountpoint}
	if err := a.await(ctx, c); err != nil {
		err = a.explain(kindOf(err), err)
		cleanup := errors.Join(p.end(), discard(start))
		p.forget()
		return nil, errors.Join(err, cleanup)
	}
	c.ready = time.Now()
	klog.FromContext(ctx).Info("Started a client", "pid", p.pid, "mountpoint", mountpoint, "servers", a.answers.String(), "took", time.Since(began).Round(time.Millisecond))
	return c, nil
}

// begin remembers where this start begins in the log, and what the servers said.
func (a *attempt) begin(answers glusterd.Answers) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers, a.began = answers, true
	if info, err := os.Stat(filepath.Join(a.slot.dir, logFile)); err == nil {
		a.logFrom = info.Size()
	}
}

// arguments are those of the client. The mount point is the last one, by which the process is found again.
func (a *attempt) arguments(mountpoint string) []string {
	args := []string{
		"--no-daemon",
		"--process-name", "fuse", // as mount.glusterfs calls it, and `gluster volume status NAME client-list` knows
		"--log-file=" + filepath.Join(a.slot.dir, logFile),
	}
	for _, server := range a.answers.Order {
		args = append(args, "--volfile-server="+server)
	}
	args = append(args, "--volfile-id=/"+a.slot.volume.Name)
	for _, option := range gluster.WithDefaults(a.slot.options) {
		args = append(args, "--"+option)
	}
	return append(args, mountpoint)
}

// await waits until the client is mounted and answers.
func (a *attempt) await(ctx context.Context, c *Client) error {
	device, err := awaitMount(ctx, c)
	if err != nil {
		return err
	}
	c.device = device
	const pause = 25 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	settled := time.Now().Add(settleTime)
	for {
		err := c.probe(ctx)
		if err == nil {
			return markReady(c.mountpoint, c.process.pid)
		}
		if !errors.Is(err, unix.ENOTCONN) || time.Now().After(settled) {
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
func awaitMount(ctx context.Context, c *Client) (mount.Device, error) {
	const glance = 20 // milliseconds until ctx and the process are looked at again
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return mount.Device{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	changed := true
	for {
		if changed {
			at, err := mount.At(c.mountpoint)
			if err != nil {
				return mount.Device{}, err
			}
			if len(at) > 0 && at[len(at)-1].FSType == FSType {
				return at[len(at)-1].Device, nil
			}
		}
		if c.process.hasExited() {
			return mount.Device{}, c.ended()
		}
		if err := context.Cause(ctx); err != nil {
			return mount.Device{}, fmt.Errorf("nothing was mounted in time: %w", err)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, glance)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return mount.Device{}, fmt.Errorf("wait for mountinfo: %w", err)
		}
		changed = n > 0
	}
}

// describe writes client.json.
func (s *slot) describe() error {
	data, err := json.Marshal(description{Volume: s.volume, Options: append([]string{}, s.options...)})
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, descriptionFile)
	if old, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(old)) == string(data) {
		return nil
	}
	aside := path + ".new"
	if err := os.WriteFile(aside, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path)
}
