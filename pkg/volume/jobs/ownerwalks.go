// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// OwnerWalks are the changes of owner of all that is in a volume, by the volume's key. The repetition of a call waits
// for the same walk, or is told how it ended. A process that ends takes its walks along: the repetition begins again,
// and what has the owner already is only looked at. The zero value has none.
type OwnerWalks struct {
	mu sync.Mutex
	of map[string]*ownerWalk
}

type ownerWalk struct {
	uid, gid int // -1 where it stays
	began    time.Time
	visited  atomic.Int64
	cancel   context.CancelFunc
	stopped  bool // nobody wants it any more

	done chan struct{} // closed at the end, after err was set
	err  error
}

// walkCounts is for how long the end of a walk is the answer to who asks for the same: longer than external-resizer
// waits at most before it repeats a call (5 minutes).
const walkCounts = 15 * time.Minute

// Walk returns when a walk has ended that makes a volume's files somebody's, or ErrBusy with how far it is when ctx is
// done: the one that there is, or another, which begins then. A walk to another owner ends first. walk counts what it has
// visited, and returns when nothing of it is under way any more, also when its context has ended.
func (o *OwnerWalks) Walk(
	ctx context.Context, key string, uid, gid int, walk func(ctx context.Context, uid, gid int, visited *atomic.Int64) error,
) error {
	w := o.join(ctx, key, uid, gid, walk)
	select {
	case <-w.done:
		o.leave(key, w)
		return w.err
	case <-ctx.Done():
		return fmt.Errorf("volume %s: the owner of what is in it is being changed, %d files so far in %s; it goes on, ask again: %w",
			key, w.visited.Load(), time.Since(w.began).Round(time.Second), volume.ErrBusy)
	}
}

func (o *OwnerWalks) join(ctx context.Context, key string, uid, gid int, walk func(context.Context, int, int, *atomic.Int64) error) *ownerWalk {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.of[key]
	if before != nil {
		if before.uid == uid && before.gid == gid && !before.stopped {
			return before
		}
		before.cancel()
	}
	if o.of == nil {
		o.of = map[string]*ownerWalk{}
	}
	apart, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &ownerWalk{uid: uid, gid: gid, began: time.Now(), cancel: cancel, done: make(chan struct{})}
	o.of[key] = w
	go func() {
		if before != nil {
			<-before.done // it may be about to change a file that this one would have passed by then
		}
		w.err = panics.Guard("a change of owner", func() error { return walk(apart, uid, gid, &w.visited) })
		close(w.done)
		time.AfterFunc(walkCounts, func() { o.leave(key, w) }) // nobody may ask again
	}()
	return w
}

// Stop ends the walk through a volume, if there is one: what it does is not wanted any more. The next one waits for its end.
func (o *OwnerWalks) Stop(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.of[key]; w != nil {
		w.cancel()
		w.stopped = true
	}
}

// leave forgets a walk that has come to its end.
func (o *OwnerWalks) leave(key string, w *ownerWalk) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w.cancel()
	if o.of[key] == w {
		delete(o.of, key)
	}
}

// Close ends all walks.
func (o *OwnerWalks) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.of {
		w.cancel()
	}
}
