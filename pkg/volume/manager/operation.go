// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"sync/atomic"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/waiting"
)

// one runs an operation on a Gluster volume, by the manager's own client.
func one[T any](ctx context.Context, m *Manager, v gluster.Volume, key string, fn func(*lifecycle.Volumes) (T, error)) (T, error) {
	var result T
	err := m.run(ctx, v, m.own, key, func(_ context.Context, s *lifecycle.Volumes, op *operation) error {
		got, err := fn(s)
		if op.commit() {
			result = got
		}
		return err
	})
	return result, err
}

// operation is what runs apart from its caller.
type operation struct {
	state atomic.Int32
	why   atomic.Pointer[string]
}

const (
	running   = iota // the caller waits
	committed        // the caller waits to the end
	deserted         // the caller is gone
)

// commit is called before the one thing that must not happen once the caller was told
// that the operation failed. False means that the caller is gone.
func (o *operation) commit() bool {
	return o.state.CompareAndSwap(running, committed) || o.state.Load() == committed
}

// long says what takes the time from here on.
func (o *operation) long(why string) { o.why.Store(&why) }

// run calls fn with the store of a Gluster volume, alone among those with the same key
// ("" for those that may run beside each other), on a goroutine of its own, since no
// deadline reaches a system call on a client's mount. It has a permit until it ends, even if nobody waits for it any
// more. The lock comes first: many calls of one volume have one permit, and who has a permit waits for no lock.
func (m *Manager) run(ctx context.Context, v gluster.Volume, options []string, key string, fn func(context.Context, *lifecycle.Volumes, *operation) error) error {
	kubernetes, err := m.Kubernetes(ctx)
	if err != nil {
		return err
	}
	client, err := m.host.Ensure(ctx, v, options)
	if err != nil {
		return err
	}
	release := client.Hold() // first: waiting for the lock may outlast the client's idle time
	unlock := func() {}
	if key != "" {
		done := waiting.For(ctx, "another operation of volume %s to end", lockKey(v, key))
		unlock, err = m.locks.lock(ctx, lockKey(v, key))
		done()
		if err != nil {
			release()
			return err
		}
	}
	permit, err := m.admit(ctx, client)
	if err != nil {
		release()
		unlock()
		return err
	}
	op := &operation{}
	defer waiting.For(ctx, "%s to do what was asked: it has answered before", v)()
	done := make(chan error, 1)
	go func() {
		err := panics.Guard("an operation on "+v.String(), func() error {
			return m.withStore(context.WithoutCancel(ctx), client, kubernetes, permit, func(s *lifecycle.Volumes) error {
				return fn(context.WithoutCancel(ctx), s, op)
			})
		})
		// Before the caller is told: who is told that all is over may look for what is in use.
		release()
		permit.Release()
		unlock()
		done <- err
	}()
	select {
	case err := <-done:
		return m.explain(ctx, v, err)
	case <-ctx.Done():
	}
	if !op.state.CompareAndSwap(running, deserted) {
		return <-done // what follows a commit does not wait for GlusterFS
	}
	back := m.metrics.desert(v)
	go func() {
		err := <-done
		back()
		klog.FromContext(ctx).V(4).Info("What went on after its caller had left has ended", "glusterVolume", v.String(), "err", err)
	}()
	if why := op.why.Load(); why != nil {
		return fmt.Errorf("volume %s/%s: %s; try again: %w", v, key, *why, volume.ErrBusy)
	}
	return fmt.Errorf("%s does not answer in time, the operation goes on: %w", v, context.Cause(ctx))
}

// withStore calls fn with the store that a client shows, for an operation that has the permit.
func (m *Manager) withStore(ctx context.Context, c *client.Client, kubernetes string, permit *permits.Permit, fn func(*lifecycle.Volumes) error) error {
	open, leave, err := m.views.use(c)
	if err != nil {
		return err
	}
	defer leave()
	remembered := m.remember(c.Volume()) //nolint:contextcheck // what it makes outlives the call
	of := store.New(open.View, remembered.store, permit)
	of.Kubernetes, of.Retention = kubernetes, m.retention
	s := lifecycle.New(of, remembered.trash)
	s.Privileged, s.Headroom = m.privileged(ctx, c.Volume()), m.headroom
	if err = fn(s); isOutdated(err) {
		m.views.forget(c, open)
	}
	return err
}

// admit waits for a permit, and makes sure that the client has answered since. ErrBusy if there is none in time.
func (m *Manager) admit(ctx context.Context, c *client.Client) (*permits.Permit, error) {
	done := waiting.For(ctx, "a permit: as many operations of this process run on %s as may (--max-operations)", c.Volume())
	permit, err := m.permits.Acquire(ctx, c.Volume())
	done()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", volume.ErrBusy, err)
	}
	if err := c.Probe(ctx); err != nil {
		permit.Release()
		return nil, err
	}
	return permit, nil
}

func lockKey(v gluster.Volume, id string) string { return v.String() + "/" + id }
