// SPDX-License-Identifier: Apache-2.0

// Package waiting says in the log what a call waits for that takes long: who looks at a process that seems to do nothing
// need not guess. What waits says so with For, wherever it is; what is to be watched is begun with Watch.
package waiting

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// first is how long a call may take before its log says what it waits for. Then it is said again after twice the time.
const first = 10 * time.Second

// call is one that is watched.
type call struct {
	began time.Time

	mu  sync.Mutex
	now []*wait // the last one is the innermost
}

type wait struct {
	what  string
	since time.Time
}

type key struct{}

// Watch begins to watch a call that has this context's logger, until stop is called.
func Watch(ctx context.Context) (watched context.Context, stop func()) {
	c := &call{began: time.Now()}
	logger := klog.FromContext(ctx)
	stopped := make(chan struct{})
	go func() {
		for after := first; ; after *= 2 {
			timer := time.NewTimer(time.Until(c.began.Add(after)))
			select {
			case <-stopped:
				timer.Stop()
				return
			case <-timer.C:
				c.tell(logger)
			}
		}
	}()
	return context.WithValue(ctx, key{}, c), sync.OnceFunc(func() { close(stopped) })
}

// For says that the call of this context waits from now on, until done is called. Without a watch it does nothing.
func For(ctx context.Context, format string, args ...any) (done func()) {
	c, watched := ctx.Value(key{}).(*call)
	if !watched {
		return func() {}
	}
	w := &wait{what: fmt.Sprintf(format, args...), since: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = append(c.now, w)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now = slices.DeleteFunc(c.now, func(other *wait) bool { return other == w })
	}
}

// tell says what the call waits for.
func (c *call) tell(logger klog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	w := wait{what: "nothing that is known: see `glusterfs-csi debug goroutines`", since: c.began}
	if len(c.now) > 0 {
		w = *c.now[len(c.now)-1]
	}
	logger.Info("Still waiting for "+w.what, "for", now.Sub(w.since).Round(time.Second), "callTook", now.Sub(c.began).Round(time.Second))
}
