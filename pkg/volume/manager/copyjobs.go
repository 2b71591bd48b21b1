// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// A copy takes as long as it takes, and no call waits so long: it goes on without its caller, who is told how far it is
// and asks again. What ends with its process, or fails, is gone on with by the next caller, or by keepCopying, here or
// in another process: see pkg copying.

// The bounds of how many copies a process makes at once, unless flags say otherwise.
const (
	DefaultMaxCopies       = 4
	DefaultMaxCopiesVolume = 2
)

// copyKey names a copy.
type copyKey struct {
	volume gluster.Volume // that has it
	kind   volume.CopyKind
	id     string
}

// lock is the name of the copy's lock. No volume's ID has a slash.
func (k copyKey) lock() string { return string(k.kind) + "/" + k.id }

// copyJobs are the copies that this process makes.
type copyJobs struct {
	mu    sync.Mutex
	of    map[copyKey]*copyJob
	again map[copyKey]backoff
	ended bool

	inAll     chan struct{}
	perVolume int
	on        map[gluster.Volume]chan struct{}
}

// copyJob is one run of a copy.
type copyJob struct {
	progress copies.Progress
	waits    atomic.Bool // for its turn
	began    time.Time
	cancel   context.CancelFunc

	done chan struct{} // closed at the end, after err was set
	err  error
}

// backoff is when a copy that failed is gone on with without being asked for.
type backoff struct {
	after time.Time
	delay time.Duration
}

func newCopyJobs(inAll, perVolume int) *copyJobs {
	return &copyJobs{
		of: map[copyKey]*copyJob{}, again: map[copyKey]backoff{}, inAll: make(chan struct{}, inAll), perVolume: perVolume,
		on: map[gluster.Volume]chan struct{}{},
	}
}

// SetMaxCopies bounds how many copies this process makes at once: in all, and to one Gluster volume. It comes before
// everything else.
func (m *Manager) SetMaxCopies(inAll, perVolume int) { m.copies = newCopyJobs(inAll, perVolume) }

// join returns the run of a copy that is under way, or begins one.
func (c *copyJobs) join(ctx context.Context, key copyKey, run func(context.Context, *copyJob) error) *copyJob {
	c.mu.Lock()
	defer c.mu.Unlock()
	if job := c.of[key]; job != nil {
		return job
	}
	apart, cancel := context.WithCancel(context.WithoutCancel(ctx))
	job := &copyJob{cancel: cancel, done: make(chan struct{}), began: time.Now()}
	job.waits.Store(true)
	if c.ended {
		cancel()
	}
	c.of[key] = job
	go func() {
		err := guarded(func() error { return run(apart, job) })
		c.end(apart, key, job, err)
	}()
	return job
}

func (c *copyJobs) end(ctx context.Context, key copyKey, job *copyJob, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	job.err = err
	delete(c.of, key)
	switch canceled := ctx.Err() != nil; {
	case err == nil, canceled:
		delete(c.again, key)
	default:
		delay := min(max(2*c.again[key].delay, copyPeriod), maxCopyDelay)
		if errors.Is(err, volume.ErrBusy) {
			delay = 0 // another has it
		} else {
			klog.FromContext(ctx).Error(err, "A copy stopped; it goes on where it was", "copy", fmt.Sprint(key.volume, "/", key.id), "kind", key.kind,
				"tryAgainAfter", delay.String())
		}
		c.again[key] = backoff{time.Now().Add(delay), delay}
	}
	job.cancel()
	close(job.done)
}

// mayGoOn says whether a copy is to be gone on with without being asked for.
func (c *copyJobs) mayGoOn(key copyKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[key] == nil && !time.Now().Before(c.again[key].after)
}

// stop ends the run of a copy, if this process has one, and waits for its end: ErrBusy if ctx is done before.
func (c *copyJobs) stop(ctx context.Context, key copyKey) error {
	c.mu.Lock()
	job := c.of[key]
	delete(c.again, key)
	c.mu.Unlock()
	if job == nil {
		return nil
	}
	job.cancel()
	select {
	case <-job.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s/%s is being copied, and that has not ended yet; try again: %w: %w", key.volume, key.id, volume.ErrBusy, context.Cause(ctx))
	}
}

// close ends all runs.
func (c *copyJobs) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, job := range c.of {
		job.cancel()
	}
}

// turn waits until fewer copies are under way than may be.
func (c *copyJobs) turn(ctx context.Context, v gluster.Volume) (leave func(), err error) {
	c.mu.Lock()
	on := c.on[v]
	if on == nil {
		on = make(chan struct{}, c.perVolume)
		c.on[v] = on
	}
	c.mu.Unlock()
	var taken []chan struct{}
	leave = func() {
		for _, slots := range taken {
			<-slots
		}
	}
	for _, slots := range []chan struct{}{on, c.inAll} {
		select {
		case slots <- struct{}{}:
			taken = append(taken, slots)
		case <-ctx.Done():
			leave()
			return nil, context.Cause(ctx)
		}
	}
	return leave, nil
}

// wait returns when the run has ended, with its error, or with ErrBusy and how far it is when ctx is done.
func (j *copyJob) wait(ctx context.Context, what string) error {
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return fmt.Errorf("%s: %s; it goes on, ask again: %w", what, j.text(), volume.ErrBusy)
	}
}
