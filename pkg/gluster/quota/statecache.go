// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// exactFor is how long a State is believed in which limits hold; an operator turns quota off seldom. It is less than a
	// minute, so that each minute's look finds what is true then.
	exactFor = 45 * time.Second
	// looseFor is how long any other is: whoever has been told to run commands tries again when they have run.
	looseFor = 2 * time.Second
)

// States knows the State of each Gluster volume. All of it may be called at the same time.
type States struct {
	clusters *gluster.ClustersFile
	asked    singleflight.Group

	mu    sync.Mutex
	known map[gluster.Volume]dated
}

// dated is a State that counts until a time.
type dated struct {
	state State
	until time.Time
}

// NewStates returns one that has asked nobody yet.
func NewStates(clusters *gluster.ClustersFile) *States {
	return &States{clusters: clusters, known: map[gluster.Volume]dated{}}
}

// Get returns the State of a Gluster volume, which its servers were asked for within the last minute, or are now: one
// question at a time for each, of four seconds at most, which changes nothing there. It returns as soon as ctx is done.
// Errors: ErrNotLoaded, ErrUnknownCluster, ErrUnknownVolume, ErrNoSuchVolume and ErrUnreachable of package gluster, the
// last with ctx's own error if that is why.
func (s *States) Get(ctx context.Context, v gluster.Volume) (State, error) {
	clusters, err := s.clusters.Current()
	if err != nil {
		return State{}, err
	}
	cluster, err := clusters.Find(v)
	if err != nil {
		return State{}, err
	}
	s.mu.Lock()
	known := s.known[v]
	s.mu.Unlock()
	if time.Now().Before(known.until) {
		return known.state, nil
	}
	answer := s.asked.DoChan(v.String(), func() (any, error) {
		return s.ask(context.WithoutCancel(ctx), v, glusterd.PoolOf(cluster))
	})
	select {
	case a := <-answer:
		state, _ := a.Val.(State)
		return state, a.Err
	case <-ctx.Done():
		return State{}, fmt.Errorf("%w: %s: its servers have not said yet whether quota is on: %w", gluster.ErrUnreachable, v,
			context.Cause(ctx))
	}
}

// ask asks the servers, and remembers what they say.
func (s *States) ask(ctx context.Context, v gluster.Volume, pool glusterd.Pool) (state State, err error) {
	if caught := panics.Catch(ctx, "question for the state of quota", func() { state, err = read(ctx, v, pool) }); caught != nil {
		err = fmt.Errorf("%w: %s: %w", gluster.ErrUnreachable, v, caught.Err())
	}
	if err != nil {
		return State{}, err
	}
	valid := looseFor
	if state.Check(v) == nil {
		valid = exactFor
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[v] = dated{state, time.Now().Add(valid)}
	return state, nil
}

// read finds the State in a brick's volfile.
func read(ctx context.Context, v gluster.Volume, pool glusterd.Pool) (State, error) {
	const what = "whether quota is on for it"
	volfile, err := pool.GetBrickOptions(ctx, v.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return State{}, fmt.Errorf("%w: %s: ask %s: %w", gluster.ErrNoSuchVolume, v, what, err)
	case err != nil:
		return State{}, fmt.Errorf("%w: %s: ask %s: %w", gluster.ErrUnreachable, v, what, err)
	}
	state, err := StateOf(volfile)
	if err != nil {
		return State{}, fmt.Errorf("%w: %s: ask %s: %w", gluster.ErrUnreachable, v, what, err)
	}
	return state, nil
}
