// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// targets orders the calls on each target. A publish whose caller has gone may still be
// about to mount when the unpublish arrives that is to clean up after it: what was begun
// before an unpublish mounts nothing after it.
type targets struct {
	mu   sync.Mutex
	busy map[string]*target // those with a call under way
}

type target struct {
	turn        chan struct{} // holds one token while nobody changes the target's mounts
	unpublished int           // how often, since the first of the calls under way; whoever has the turn
	calls       int           // under way; targets.mu guards it
}

// enter returns the state of a target; leave is called when the call ends.
func (t *targets) enter(path string) (at *target, leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == nil {
		t.busy = map[string]*target{}
	}
	at = t.busy[path]
	if at == nil {
		at = &target{turn: make(chan struct{}, 1)}
		at.turn <- struct{}{}
		t.busy[path] = at
	}
	at.calls++
	return at, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if at.calls--; at.calls == 0 {
			delete(t.busy, path)
		}
	}
}

// change calls fn while nobody else changes the target's mounts.
func (t *target) change(ctx context.Context, fn func() error) error {
	select {
	case <-t.turn:
	case <-ctx.Done():
		return fmt.Errorf("another call is changing the target: %w: %w", volume.ErrBusy, context.Cause(ctx))
	}
	defer func() { t.turn <- struct{}{} }()
	return fn()
}
