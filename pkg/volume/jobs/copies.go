// SPDX-License-Identifier: Apache-2.0

// Package jobs is what a process does for callers that do not wait to its end: copies, and changes of owner throughout a
// volume, take as long as they take. So they go on without their caller, who is told how far they are (ErrBusy) and asks
// again: the repetition joins what is under way.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// The delays before a copy that failed is gone on with.
const (
	// CopyPeriod is how often copies that are not complete are looked at: with the time that a lease lasts that is less
	// than a minute after the death of who made them.
	CopyPeriod   = 15 * time.Second
	maxCopyDelay = 10 * time.Minute
)

// CopyKey names a copy.
type CopyKey struct {
	Volume gluster.Volume // that has it
	Kind   volume.CopyKind
	ID     string
}

// Lock is the name of the copy's lock. No volume's ID has a slash.
func (k CopyKey) Lock() string { return string(k.Kind) + "/" + k.ID }

// Copies are the copies that this process makes. What ends with its process, or fails, is gone on with by the next caller,
// or without one, here or in another process: see pkg copying.
type Copies struct {
	mu    sync.Mutex
	of    map[CopyKey]*Copy
	again map[CopyKey]backoff
	ended bool

	inAll     chan struct{}
	perVolume int
	on        map[gluster.Volume]chan struct{}
}

// Copy is one run of a copy.
type Copy struct {
	Progress copies.Progress
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

// NewCopies makes at most so many at once: in all, and to one Gluster volume.
func NewCopies(inAll, perVolume int) *Copies {
	return &Copies{
		of: map[CopyKey]*Copy{}, again: map[CopyKey]backoff{}, inAll: make(chan struct{}, inAll), perVolume: perVolume,
		on: map[gluster.Volume]chan struct{}{},
	}
}

// Join returns the run of a copy that is under way, or begins one.
func (c *Copies) Join(ctx context.Context, key CopyKey, run func(context.Context, *Copy) error) *Copy {
	c.mu.Lock()
	defer c.mu.Unlock()
	if job := c.of[key]; job != nil {
		return job
	}
	apart, cancel := context.WithCancel(context.WithoutCancel(ctx))
	job := &Copy{cancel: cancel, done: make(chan struct{}), began: time.Now()}
	job.waits.Store(true)
	if c.ended {
		cancel()
	}
	c.of[key] = job
	go func() {
		err := panics.Guard("a copy", func() error { return run(apart, job) })
		c.end(apart, key, job, err)
	}()
	return job
}

func (c *Copies) end(ctx context.Context, key CopyKey, job *Copy, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	job.err = err
	delete(c.of, key)
	switch canceled := ctx.Err() != nil; {
	case err == nil, canceled:
		delete(c.again, key)
	default:
		delay := min(max(2*c.again[key].delay, CopyPeriod), maxCopyDelay)
		if errors.Is(err, volume.ErrBusy) {
			delay = 0 // another has it
		} else {
			klog.FromContext(ctx).Error(err, "A copy stopped; it goes on where it was", "copy", fmt.Sprint(key.Volume, "/", key.ID), "kind", key.Kind,
				"tryAgainAfter", delay.String())
		}
		c.again[key] = backoff{time.Now().Add(delay), delay}
	}
	job.cancel()
	close(job.done)
}

// MayGoOn says whether a copy is to be gone on with without being asked for.
func (c *Copies) MayGoOn(key CopyKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[key] == nil && !time.Now().Before(c.again[key].after)
}

// Stop ends the run of a copy, if this process has one, and waits for its end: ErrBusy if ctx is done before.
func (c *Copies) Stop(ctx context.Context, key CopyKey) error {
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
		return fmt.Errorf("%s/%s is being copied, and that has not ended yet; try again: %w: %w", key.Volume, key.ID, volume.ErrBusy, context.Cause(ctx))
	}
}

// jobsEnd is how long Close waits for runs to end, which give back what others would wait for.
const jobsEnd = 3 * time.Second

// Close ends all runs.
func (c *Copies) Close() {
	c.mu.Lock()
	c.ended = true
	var all []*Copy
	for _, job := range c.of {
		job.cancel()
		all = append(all, job)
	}
	c.mu.Unlock()
	late := time.After(jobsEnd)
	for _, job := range all {
		select {
		case <-job.done:
		case <-late:
			return
		}
	}
}

// Turn waits until fewer copies are under way than may be.
func (c *Copies) Turn(ctx context.Context, v gluster.Volume) (leave func(), err error) {
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

// Wait returns when the run has ended, with its error, or with ErrBusy and how far it is when ctx is done.
func (j *Copy) Wait(ctx context.Context, what string) error {
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return fmt.Errorf("%s: %s; it goes on, ask again: %w", what, j.text(), volume.ErrBusy)
	}
}
