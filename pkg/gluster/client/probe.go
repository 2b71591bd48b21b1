// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// answerValid is how long an answer counts. Asking costs a millisecond and round trips to the bricks, too much
	// for each step of a burst of RPCs; and a second is less than any fault of a server takes to show itself
	// otherwise (ping-timeout is 42 s).
	answerValid = time.Second
	// A process that is killed lets go of its mount a moment before it is seen to have ended.
	exitDelay = 100 * time.Millisecond
)

// Probe returns nil if the client has answered within the last second or does so now. At most one question to a
// client is under way, however many callers wait: its system call may block until a server returns, and no deadline
// reaches it there. Errors: ErrNotConnected; ErrUnreachable, with ctx's error if there was no answer in time (at most
// 50 s).
func (c *Client) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := c.probe(ctx)
	if err == nil {
		return nil
	}
	kind := kindOf(err)
	cure := "publish the volume again for a new client"
	see := ": see `gluster volume status " + c.slot.volume.Name + "`"
	switch {
	case errors.Is(kind, gluster.ErrNotConnected):
		cure = "it recovers by itself when enough bricks are back" + see
	case ctx.Err() != nil:
		cure = "it recovers by itself as the servers answer again, or without a silent one after ping-timeout (42 s)" + see
	}
	return fmt.Errorf("%w: %s: its running client (process %d): %w; %s", kind, c.slot.volume, c.process.PID, err, cure)
}

// probe is Probe with the bare cause: ErrGone, ENOTCONN, ctx's, or what else the client says.
func (c *Client) probe(ctx context.Context) error {
	if c.process.HasExited() {
		return c.ended()
	}
	q := c.ask()
	if q == nil {
		return nil
	}
	select {
	case <-q.done:
		return q.err
	case <-c.process.Exited():
		return c.ended()
	case <-ctx.Done():
		return fmt.Errorf("no answer in time: %w", context.Cause(ctx))
	}
}

func (c *Client) ended() error { return fmt.Errorf("%w: process %d has ended", ErrGone, c.process.PID) }

// ask returns the probe under way, after beginning it if there was none, or nil when a fresh answer is there.
func (c *Client) ask() *rootProbe {
	var p *rootProbe
	var isNew bool
	c.probes.with(func(known *probes) { p, isNew = known.ask() })
	if isNew {
		go func() {
			defer close(p.done)
			caught := panics.Catch(c.slot.host.lifetime, "probe of a client", func() { p.err = c.answer(p) })
			if caught != nil {
				p.err = caught.Err()
			}
			c.probes.with(func(known *probes) { known.answer(p.err) })
		}()
	}
	return p
}

// answer asks the client, and waits.
func (c *Client) answer(p *rootProbe) error {
	if before, err := c.meta.Read(); err == nil {
		c.probes.with(func(*probes) { p.before = before })
	}
	err := probeRoot(c.mountpoint, c.device)
	if err != nil && c.endsNow() {
		err = c.ended()
	}
	if err == nil {
		// If it fails, health rests on the answers alone; the next probe tries again.
		_ = c.meta.Open(c.mountpoint, c.device)
	}
	return err
}

// probes is what is known of the questions that a client was asked. Its zero value knows nothing.
type probes struct {
	answered time.Time  // when one was answered well last
	failed   error      // of the last one, nil if it was answered well
	pending  *rootProbe // the one under way, if any
}

// rootProbe is one call of probeRoot.
type rootProbe struct {
	done   chan struct{} // closed when it has ended
	err    error         // not read before
	asked  time.Time
	before *meta.Reading // what the bricks had sent just before, once that is known; reached as probes.pending only
}

func (p *probes) ask() (probe *rootProbe, isNew bool) {
	if time.Since(p.answered) < answerValid {
		return nil, false
	}
	if p.pending == nil {
		p.pending, isNew = &rootProbe{done: make(chan struct{}), asked: time.Now()}, true
	}
	return p.pending, isNew
}

func (p *probes) answer(err error) {
	p.pending, p.failed = nil, err
	if err == nil {
		p.answered = time.Now()
	}
}

// endsNow tells a dead client from a lost quorum, which says the same.
func (c *Client) endsNow() bool {
	timer := time.NewTimer(exitDelay)
	defer timer.Stop()
	select {
	case <-c.process.Exited():
		return true
	case <-timer.C:
		return false
	}
}

// probeRoot asks the file system with this device at path two questions: for its size, which every brick must answer
// that is connected, and for its root's attributes afresh, which a replica refuses without quorum (it still tells the
// size then). It may block for ever.
func probeRoot(path string, device mount.Device) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) // stays off the network
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w: its mount point %s was removed", ErrGone, path)
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &stat); err != nil {
		return err
	}
	if (mount.Device{Major: stat.Dev_major, Minor: stat.Dev_minor}) != device {
		return fmt.Errorf("%w: it was unmounted at %s", ErrGone, path)
	}
	var fs unix.Statfs_t
	for {
		if err := unix.Fstatfs(fd, &fs); err == nil {
			break
		} else if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &stat)
}
