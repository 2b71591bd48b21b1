// SPDX-License-Identifier: Apache-2.0

// Package probe asks one client: whether its Gluster volume answers, and what the client says of itself. However many callers
// wait, one question of each kind is under way, since its system call may block until a server returns, and no deadline reaches it
// there: a client costs two goroutines at most.
package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// answerValid is how long an answer counts. Asking costs a millisecond and round trips to the bricks, too much
	// for each step of a burst of RPCs; and a second is less than any fault of a server takes to show itself
	// otherwise (ping-timeout is 42 s).
	answerValid = time.Second
	// exitDelay is how long before it is seen to have ended a process that is killed may let go of its mount.
	exitDelay = 100 * time.Millisecond
)

// ErrGone says that the client's process ended, or its mount is not there any more.
var ErrGone = errors.New("the client is gone")

// Prober asks one client. All of it may be called at the same time.
type Prober struct {
	lifetime   context.Context //nolint:containedctx // of questions, which outlive the calls that begin them
	process    *process.Process
	mountpoint string
	device     mount.Device
	meta       meta.Reader

	mu       sync.Mutex
	probes   probes
	readings readings
}

// New returns a Prober of the client that is mounted there with this device.
func New(lifetime context.Context, p *process.Process, mountpoint string, device mount.Device) *Prober {
	return &Prober{lifetime: lifetime, process: p, mountpoint: mountpoint, device: device}
}

// Close lets go of the client, which could not end before. It does not wait.
func (p *Prober) Close() { p.meta.Close() }

// Probe returns nil if the client has answered within the last second or does so now. At most one question to it is under way,
// however many callers wait. Its error is ErrGone, ENOTCONN, ctx's where there was no answer in time, or what else the client says.
func (p *Prober) Probe(ctx context.Context) error {
	if p.process.HasExited() {
		return p.ended()
	}
	q := p.ask()
	if q == nil {
		return nil
	}
	select {
	case <-q.done:
		return q.err
	case <-p.process.Exited():
		return p.ended()
	case <-ctx.Done():
		return fmt.Errorf("no answer in time: %w", context.Cause(ctx))
	}
}

func (p *Prober) ended() error { return fmt.Errorf("%w: process %d has ended", ErrGone, p.process.PID) }

// ask returns the probe under way, after beginning it if there was none, or nil when a fresh answer is there.
func (p *Prober) ask() *rootProbe {
	p.mu.Lock()
	q, isNew := p.probes.ask()
	p.mu.Unlock()
	if isNew {
		go func() {
			defer close(q.done)
			q.err = panics.Guard("probe of a client", func() error { return p.answer(q) })
			p.mu.Lock()
			defer p.mu.Unlock()
			p.probes.answer(q.err)
		}()
	}
	return q
}

// Ask begins a probe, unless one is under way or has been answered within the last second. A client that was adopted, or that has
// another graph, becomes able to tell its state by it.
func (p *Prober) Ask() { p.ask() }

// answer asks the client, and waits. What is to be asked of it alone is opened first: all bricks have to answer what
// comes then, so that a client that is found while one of them is silent would not tell its own state before
// ping-timeout.
func (p *Prober) answer(q *rootProbe) error {
	// If it fails, health rests on the answers alone; the next probe tries again.
	_ = p.meta.Open(p.mountpoint, p.device)
	if before, err := p.meta.Read(); err == nil {
		p.mu.Lock()
		q.before = before
		p.mu.Unlock()
	}
	err := probeRoot(p.mountpoint, p.device)
	if err != nil && p.endsNow() {
		err = p.ended()
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
func (p *Prober) endsNow() bool {
	timer := time.NewTimer(exitDelay)
	defer timer.Stop()
	select {
	case <-p.process.Exited():
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
