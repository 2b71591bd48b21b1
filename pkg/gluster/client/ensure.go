// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
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
	// errEnding says that no client is started any more; the next process will.
	errEnding = errors.New("this process ends")
)

// startTimeout is longer than ping-timeout (42 s by default): a client comes up even where one of its servers is
// silently gone.
const startTimeout = 50 * time.Second

// attempt is one search for a slot's client, with the start of one if there is none. Several callers may wait for it,
// and those that stop waiting still read what is needed to say why.
type attempt struct {
	slot  *slot
	start *starts.Attempt

	done   chan struct{} // closed when it has ended; the outcome below is not read before, nor changed after
	client *Client
	err    error
}

func newAttempt(s *slot, cluster gluster.Cluster) *attempt {
	return &attempt{slot: s, start: s.newStart(cluster), done: make(chan struct{})}
}

func (s *slot) newStart(cluster gluster.Cluster) *starts.Attempt {
	return starts.New(s.dir, s.volume, s.options, cluster, s.host.apart)
}

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
	return h.ensureOwn(ctx, v, gluster.PrivilegedOptions(), "the client that sets limits is")
}

// EnsureOneSide is Ensure for a client of gluster.OneSideOptions, and EnsureSettling for one of gluster.SettlingOptions.
// They are for what settles a split-brain, on what is held by descriptors: nothing may be bound from them. A Host whose clients are
// a mounter's has none (ErrOption).
func (h *Host) EnsureOneSide(ctx context.Context, v gluster.Volume, others []string) (*Client, error) {
	return h.ensureOwn(ctx, v, gluster.OneSideOptions(others), settling)
}

// EnsureSettling is for what EnsureOneSide says.
func (h *Host) EnsureSettling(ctx context.Context, v gluster.Volume, by gluster.Choice) (*Client, error) {
	return h.ensureOwn(ctx, v, gluster.SettlingOptions(by), settling)
}

const settling = "clients that settle a split-brain are"

func (h *Host) ensureOwn(ctx context.Context, v gluster.Volume, options []string, what string) (*Client, error) {
	if h.mounter != nil {
		return nil, fmt.Errorf("%w: %s: %s the controller's alone, and this process is a node's", gluster.ErrOption, v, what)
	}
	return h.ensure(ctx, v, options)
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
		c, a, isNew = state.runningOrAttempt(func() *attempt { return newAttempt(s, cluster) })
	})
	if c != nil {
		return c, nil
	}
	if isNew {
		s.begin(a, s.logger(ctx)) //nolint:contextcheck // others may wait for it when this caller leaves
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
	return nil, a.start.Explain(ctx, gluster.ErrUnreachable, cause)
}

// begin begins an attempt, or ends it at once where no start may begin any more.
func (s *slot) begin(a *attempt, logger klog.Logger) {
	end := s.host.beginStart()
	if end == nil {
		s.endAttempt(a, nil, nil, a.start.Explain(s.host.lifetime, gluster.ErrUnreachable, errEnding))
		return
	}
	go func() {
		defer end()
		ctx, cancel := context.WithTimeout(klog.NewContext(s.host.lifetime, logger), s.host.attemptLimit())
		defer cancel()
		s.findOrStart(ctx, a)
	}()
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
		return nil, nil, a.start.Explain(ctx, gluster.ErrUnreachable, err)
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
	c, err = s.findRunning(lock)
	if err == nil && c == nil {
		c, err = a.launch(ctx, lock)
	}
	return c, users, err
}

// launch starts a client, which may be in use from then on. After an error nothing of it is left.
func (a *attempt) launch(ctx context.Context, lock *statedir.Lock) (*Client, error) {
	r, err := a.slot.launch(ctx, a.start, lock)
	if err != nil {
		return nil, err
	}
	if err := r.MakeUsable(); err != nil {
		return nil, errors.Join(err, a.start.Abandon(r))
	}
	return a.slot.client(r), nil
}

// launch starts a client, and counts that.
func (s *slot) launch(ctx context.Context, start *starts.Attempt, lock *statedir.Lock) (*starts.Running, error) {
	r, err := start.Launch(ctx, s.host.lifetime, lock)
	s.host.countStart(s.volume, err)
	return r, err
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
	s.endAttempt(a, c, users, err)
	if err == nil {
		s.clientCame(ctx, c)
	}
}

// endAttempt tells who waits what has come of an attempt.
func (s *slot) endAttempt(a *attempt, c *Client, users *statedir.Users, err error) {
	a.client, a.err = c, err
	s.state.with(func(s *slotState) { s.endAttempt(c, users) })
	close(a.done)
}
