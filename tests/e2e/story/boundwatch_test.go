// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// claimTimes is when each claim of a namespace was made and when it was bound, as a watch saw it: the API's own
// times are whole seconds.
type claimTimes struct {
	n           *namespace
	mu          sync.Mutex
	made, bound map[string]time.Time
}

// watchClaims begins to watch. It ends with the step.
func (n *namespace) watchClaims() *claimTimes {
	n.Helper()
	times := &claimTimes{n: n, made: map[string]time.Time{}, bound: map[string]time.Time{}}
	// Not a mere watch, which the server may end at any time.
	factory := informers.NewSharedInformerFactoryWithOptions(n.api, 0, informers.WithNamespace(n.name))
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	_, err := claims.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: times.note, UpdateFunc: func(_, now any) { times.note(now) }})
	if err != nil {
		n.Fatal(err)
	}
	ctx, stop := context.WithCancel(n.Context())
	n.Cleanup(func() { stop(); factory.Shutdown() })
	factory.Start(ctx.Done())
	synced, cancel := n.context(callTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(synced.Done(), claims.HasSynced) {
		n.Fatal("the claims cannot be watched")
	}
	return times
}

func (c *claimTimes) note(object any) {
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, seen := c.made[claim.Name]; !seen {
		c.made[claim.Name] = time.Now()
	}
	if _, seen := c.bound[claim.Name]; !seen && claim.Status.Phase == corev1.ClaimBound {
		c.bound[claim.Name] = time.Now()
	}
}

// count is how many claims are bound.
func (c *claimTimes) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.bound)
}

// each waits until this many claims are bound, and returns how long each waited, the shortest first.
func (c *claimTimes) each(count int) []time.Duration {
	c.n.Helper()
	var waits []time.Duration
	c.n.await(5*patience, fmt.Sprintf("%d claims in %s are bound", count, c.n.name), func(context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.bound) < count {
			return fmt.Errorf("%d are bound", len(c.bound))
		}
		for name, at := range c.bound {
			waits = append(waits, at.Sub(c.made[name]))
		}
		return nil
	})
	slices.Sort(waits)
	return waits
}

// last is how long it took from the first claim made until this many were bound.
func (c *claimTimes) last(count int) time.Duration {
	c.n.Helper()
	c.each(count)
	c.mu.Lock()
	defer c.mu.Unlock()
	var first, last time.Time
	for name, at := range c.bound {
		if made := c.made[name]; first.IsZero() || made.Before(first) {
			first = made
		}
		if at.After(last) {
			last = at
		}
	}
	return last.Sub(first)
}
