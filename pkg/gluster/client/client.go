// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

const (
	// answerValid is how long an answer counts. Asking costs a millisecond and round trips to the bricks, too much for each step of a
	// burst of RPCs; and a second is less than any fault of a server takes to show itself otherwise (ping-timeout is 42 s).
	answerValid = time.Second
	// A process that is killed lets go of its mount a moment before it is seen to have ended.
	exitDelay = 100 * time.Millisecond
)

// ErrGone: the client's process ended, or its mount is not there any more. It always comes with ErrUnreachable.
var ErrGone = errors.New("the client is gone")

// Client is one running client: a process with a mount of its Gluster volume's root.
type Client struct {
	slot       *slot
	process    *process
	mountpoint string
	device     mount.Device
	adopted    bool
	ready      time.Time // when it answered first; zero if it was adopted

	// Of the idle sweep; slot.mu guards them.
	used  time.Time // when Ensure returned it last, or the last hold ended
	holds int

	meta     meta.Reader
	checkups checkups

	mu       sync.Mutex
	answered time.Time
	failed   error     // of the last question, nil if it was answered well
	question *question // the one probe under way, if any
}

// question is one call of answers.
type question struct {
	done   chan struct{}
	err    error // when done
	asked  time.Time
	before *meta.Reading // of the client's state, just before; Client.mu guards it
}

// Volume is what the client mounts.
func (c *Client) Volume() gluster.Volume { return c.slot.volume }

// Mountpoint is where the Gluster volume's root is mounted. After the client's end the path leads nowhere; it never is another
// directory.
func (c *Client) Mountpoint() string { return c.mountpoint }

// Device is that of every mount of this client.
func (c *Client) Device() mount.Device { return c.device }

// HasEnded says whether the client's process has ended.
func (c *Client) HasEnded() bool { return c.process.hasExited() }

// Slot is the same for all clients of this host with the same volume and options, one after the other.
func (c *Client) Slot() string { return c.slot.dir }

// Info describes the client.
func (c *Client) Info() Info {
	return Info{
		Volume: c.slot.volume, Options: slices.Clone(c.slot.options), PID: c.process.pid,
		Mountpoint: c.mountpoint, Device: c.device, Adopted: c.adopted,
	}
}

// Hold keeps the idle sweep from detaching the client until release is called, which may be called more than once.
func (c *Client) Hold() (release func()) {
	c.slot.mu.Lock()
	defer c.slot.mu.Unlock()
	c.holds++
	return sync.OnceFunc(func() {
		c.slot.mu.Lock()
		defer c.slot.mu.Unlock()
		c.holds--
		c.used = time.Now()
	})
}

// Probe returns nil if the client has answered within the last second or does so now. At most one question to a client is under
// way, however many callers wait: its system call may block until a server returns, and no deadline reaches it there.
// Errors: ErrNotConnected; ErrUnreachable, with ctx's error if there was no answer in time (at most 50 s).
func (c *Client) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := c.probe(ctx)
	if err == nil {
		return nil
	}
	kind := kindOf(err)
	cure := "publish the volume again for a new client"
	switch {
	case errors.Is(kind, gluster.ErrNotConnected):
		cure = "it recovers by itself when enough bricks are back: see `gluster volume status " + c.slot.volume.Name + "`"
	case ctx.Err() != nil:
		cure = "it recovers by itself as the servers answer again, or without a silent one after ping-timeout (42 s): see `gluster volume status " + c.slot.volume.Name + "`"
	}
	return fmt.Errorf("%w: %s: its running client (process %d): %w; %s", kind, c.slot.volume, c.process.pid, err, cure)
}

// probe is Probe with the bare cause: ErrGone, ENOTCONN, ctx's, or what else the client says.
func (c *Client) probe(ctx context.Context) error {
	if c.process.hasExited() {
		return c.ended()
	}
	q := c.ask()
	if q == nil {
		return nil
	}
	select {
	case <-q.done:
		return q.err
	case <-c.process.exited:
		return c.ended()
	case <-ctx.Done():
		return fmt.Errorf("no answer in time: %w", context.Cause(ctx))
	}
}

func (c *Client) ended() error { return fmt.Errorf("%w: process %d has ended", ErrGone, c.process.pid) }

// ask returns the question under way, after asking it if there was none, or nil when a fresh answer is there.
func (c *Client) ask() *question {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.answered) < answerValid {
		return nil
	}
	if c.question == nil {
		q := &question{done: make(chan struct{}), asked: time.Now()}
		c.question = q
		go func() {
			c.remember(q)
			q.err = answers(c.mountpoint, c.device)
			if q.err != nil && c.endsNow() {
				q.err = c.ended()
			}
			if q.err == nil {
				// If it fails, health rests on the answers alone; the next question tries again.
				_ = c.meta.Open(c.mountpoint, c.device)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.question, c.failed = nil, q.err
			if q.err == nil {
				c.answered = time.Now()
			}
			close(q.done)
		}()
	}
	return c.question
}

// endsNow tells a dead client from a lost quorum, which says the same.
func (c *Client) endsNow() bool {
	timer := time.NewTimer(exitDelay)
	defer timer.Stop()
	select {
	case <-c.process.exited:
		return true
	case <-timer.C:
		return false
	}
}

// answers asks the file system with this device at path two questions: for its size, which every brick must answer that is
// connected, and for its root's attributes afresh, which a replica refuses without quorum (it still tells the size then). It may
// block for ever.
func answers(path string, device mount.Device) error {
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
