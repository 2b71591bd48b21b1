// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// A change of owner that goes through all that is in a volume takes as long as that needs, and no call waits so
// long. So the walk goes on without its caller, who is told how far it is (ErrBusy) and asks again; the repetition
// waits for the same walk, or is told how it ended. A process that ends takes its walks along: the repetition begins
// again, and what has the owner already is only looked at.

// ownerWalks are the walks of this process, by the volume's key. The zero value has none.
type ownerWalks struct {
	mu sync.Mutex
	of map[string]*ownerWalk
}

type ownerWalk struct {
	uid, gid int // -1 where it stays
	began    time.Time
	visited  atomic.Int64
	cancel   context.CancelFunc

	done  chan struct{} // closed at the end, after what follows was set
	ended time.Time
	err   error
}

// walkCounts is for how long the end of a walk is the answer to who asks for the same: longer than external-resizer
// waits at most before it repeats a call (5 minutes).
const walkCounts = 15 * time.Minute

// join returns the walk that makes a volume's files somebody's: the one that there is, or another, which begins it
// then. A walk to another owner ends.
func (o *ownerWalks) join(key string, uid, gid int, begin func(*ownerWalk)) *ownerWalk {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.of[key]; w != nil {
		if w.uid == uid && w.gid == gid && !w.isStale() {
			return w
		}
		w.cancel()
	}
	if o.of == nil {
		o.of = map[string]*ownerWalk{}
	}
	w := &ownerWalk{uid: uid, gid: gid, began: time.Now(), done: make(chan struct{})}
	o.of[key] = w
	begin(w)
	return w
}

// leave forgets a walk that has come to its end, or one of any kind where w is nil, which ends then.
func (o *ownerWalks) leave(key string, w *ownerWalk) {
	o.mu.Lock()
	defer o.mu.Unlock()
	have := o.of[key]
	if have == nil || w != nil && have != w {
		return
	}
	have.cancel()
	delete(o.of, key)
}

// end ends all walks.
func (o *ownerWalks) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.of {
		w.cancel()
	}
}

func (w *ownerWalk) isStale() bool {
	select {
	case <-w.done:
		return time.Since(w.ended) > walkCounts
	default:
		return false
	}
}

// changeOwnerBelow changes the owner of all that is in a volume, if that was asked for: ErrBusy with the progress as
// long as it goes on.
func (m *Manager) changeOwnerBelow(ctx context.Context, id volume.ID, c volume.Changes) error {
	if c.Owner.UID == nil && c.Owner.GID == nil {
		return nil
	}
	key := lockKey(id.Volume, id.ID)
	if !c.Recursive {
		m.ownerWalks.leave(key, nil) // what it does is not wanted any more
		return nil
	}
	w := m.ownerWalks.join(key, orKeep(c.Owner.UID), orKeep(c.Owner.GID), func(w *ownerWalk) {
		apart, cancel := context.WithCancel(context.WithoutCancel(ctx))
		w.cancel = cancel
		go func() {
			err := m.run(apart, id.Volume, m.own, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) error {
				return s.ChangeOwnerBelow(apart, id.ID, w.uid, w.gid, &w.visited)
			})
			w.err, w.ended = err, time.Now()
			close(w.done)
		}()
	})
	select {
	case <-w.done:
		m.ownerWalks.leave(key, w)
		return w.err
	case <-ctx.Done():
		return fmt.Errorf("volume %s: the owner of what is in it is being changed, %d files so far in %s; it goes on, ask again: %w",
			id, w.visited.Load(), time.Since(w.began).Round(time.Second), volume.ErrBusy)
	}
}

func orKeep(id *uint32) int {
	if id == nil {
		return -1
	}
	return int(*id)
}
