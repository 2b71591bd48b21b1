// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/waiting"
)

var (
	// ErrStarting says that a start of the client goes on, though its caller has stopped waiting. It always comes
	// with ErrUnreachable.
	ErrStarting = errors.New("the start of its client goes on")
	// errAsking is ErrStarting where the mounter starts the client.
	errAsking = errors.New("the mounter of this host, which starts its client, has not answered yet")
)

// Ensure returns the client of a Gluster volume with these options, after starting it if there is none. The client
// answered within the last second. Concurrent calls share one start. It returns as soon as ctx is done; a start that
// others may want goes on then, for 50 s at most.
//
// Its errors are ErrNotLoaded, ErrUnknownCluster, ErrUnknownVolume, ErrOption, ErrNoSuchVolume, ErrNotStarted,
// ErrNotConnected and ErrUnreachable, the last with ctx's own error if that is why. A running client that does not
// answer is left alone: it recovers by itself, and what is mounted depends on it.
//
// Use the client within a minute, or Hold it.
func (h *Host) Ensure(ctx context.Context, v gluster.Volume, options []string) (*Client, error) {
	normal, err := gluster.NormalizeOptions(options)
	if err != nil {
		return nil, err
	}
	return h.ensure(ctx, v, normal)
}

// EnsurePrivileged is Ensure for the client of gluster.PrivilegedOptions, through which limits are set. It is for the
// controller's work, on directories held by descriptors that are closed when it ends: nothing may be bound from this
// client, since its files know no limit. A Host whose clients are a mounter's has none (ErrOption): what serves a node
// has no such client.
func (h *Host) EnsurePrivileged(ctx context.Context, v gluster.Volume) (*Client, error) {
	if h.mounter != nil {
		return nil, fmt.Errorf("%w: %s: the client that sets limits is the controller's alone, and this process is a node's",
			gluster.ErrOption, v)
	}
	return h.ensure(ctx, v, gluster.PrivilegedOptions())
}

// ensure is Ensure with options that are checked.
func (h *Host) ensure(ctx context.Context, v gluster.Volume, options []string) (*Client, error) {
	clusters, err := h.clusters.Current()
	if err != nil {
		return nil, err
	}
	cluster, err := clusters.Find(v)
	if err != nil {
		return nil, err
	}
	s := h.slot(v, options)
	const attempts = 3 // each meets a client that ends at that moment
	for range attempts {
		var c *Client
		if c, err = s.ensure(ctx, cluster); err != nil {
			return nil, err
		}
		if err = c.Probe(ctx); err == nil {
			return c, nil
		}
		if !errors.Is(err, probe.ErrGone) {
			return nil, err
		}
		s.state.with(func(s *slotState) { s.drop(c) })
	}
	return nil, err
}

// ensure returns a client whose process runs, after waiting for its start if there was none.
func (s *slot) ensure(ctx context.Context, cluster gluster.Cluster) (*Client, error) {
	var c *Client
	var a *attempt
	var isNew bool
	s.state.with(func(state *slotState) {
		c, a, isNew = state.runningOrAttempt(func() *attempt { return newAttempt(s, cluster.Servers) })
	})
	if c != nil {
		return c, nil
	}
	if isNew {
		logger := s.logger(ctx)
		s.host.starts.Go(func() { //nolint:contextcheck // others may wait for it when this caller leaves
			ctx, cancel := context.WithTimeout(klog.NewContext(s.host.lifetime, logger), s.host.attemptLimit())
			defer cancel()
			s.findOrStart(ctx, a)
		})
	}
	defer waiting.For(ctx, "%s of a client of %s, on %s", s.host.starter(), s.volume, strings.Join(cluster.Servers, ", "))()
	select {
	case <-a.done:
		return a.client, a.err
	case <-ctx.Done():
	}
	goesOn := ErrStarting
	if s.host.mounter != nil {
		goesOn = errAsking
	}
	cause := fmt.Errorf("%w, the wait for it ended: %w", goesOn, context.Cause(ctx))
	return nil, a.explain(gluster.ErrUnreachable, cause)
}

// starter is what starts clients, for who waits for one.
func (h *Host) starter() string {
	if h.mounter != nil {
		return "the start, by the mounter,"
	}
	return "the start"
}

// findOrStart returns the slot's running client, after starting it if there is none, and by what this process is its
// user.
func (a *attempt) findOrStart(ctx context.Context) (c *Client, _ *statedir.Users, err error) {
	s := a.slot
	if err := s.dir.Make(); err != nil {
		return nil, nil, err
	}
	lock, err := s.dir.Lock(ctx)
	if err != nil {
		return nil, nil, a.explain(gluster.ErrUnreachable, err)
	}
	defer lock.Unlock()
	users, err := s.dir.TryJoinUsers()
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if c == nil { // also after a panic
			users.Close()
		}
	}()
	c, err = s.find(lock)
	if err == nil && c == nil {
		c, err = a.start(ctx, lock)
	}
	return c, users, err
}

// findOrStart ends an attempt: with the running client that it finds or starts, which becomes the slot's, or with an
// error.
func (s *slot) findOrStart(ctx context.Context, a *attempt) {
	find := a.findOrStart
	if s.host.mounter != nil {
		find = a.findOrAsk
	}
	var c *Client
	var users *statedir.Users
	var err error
	if caught := panics.Catch(ctx, "start of a client", func() { c, users, err = find(ctx) }); caught != nil {
		c, users, err = nil, nil, fmt.Errorf("%w: %s: start its client: %w", gluster.ErrUnreachable, s.volume,
			caught.Err())
	}
	a.client, a.err = c, err
	s.state.with(func(s *slotState) { s.endAttempt(c, users) })
	close(a.done)
	if err == nil {
		s.clientCame(ctx, c)
	}
}
