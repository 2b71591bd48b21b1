// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// Both does two things that do not depend on each other, beside each other as long as there is a permit that nobody
// waits for: over a network it is waiting that takes the time. Each gets a store with the permit that is its own. It
// returns when both have ended, and panics with what either has panicked with.
func (s *Store) Both(one, other func(*Store) error) error {
	another, free := s.Permit.Another()
	if !free {
		err := one(s)
		return errors.Join(err, other(s))
	}
	var err, otherErr error
	var beside panics.Group
	beside.Go(func() {
		defer another.Release()
		theirs := *s
		theirs.Permit = another
		otherErr = other(&theirs)
	})
	caught := panics.Try(func() { err = one(s) })
	s.Permit.Without(beside.Wait)
	caught.Again()
	return errors.Join(err, otherErr)
}

// readers bounds what one operation reads at once: records, for one.
const readers = 8

// beside calls do for each number below n, several at once as long as there are permits that nobody waits for, and
// returns when all have returned.
func beside(permit *permits.Permit, n int, do func(i int)) {
	var next atomic.Int64
	work := func(permit *permits.Permit) {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			permit.GiveWay()
			do(i)
		}
	}
	var others sync.WaitGroup
	for range min(readers, n) - 1 {
		another, free := permit.Another()
		if !free {
			break
		}
		others.Go(func() {
			defer another.Release()
			work(another)
		})
	}
	work(permit)
	permit.Without(others.Wait)
}

// Each calls do with items, several at once, and joins their errors.
func Each[T any](ctx context.Context, permit *permits.Permit, items []T, do func(T) error) error {
	errs := make([]error, len(items))
	beside(permit, len(items), func(i int) {
		if ctx.Err() == nil {
			errs[i] = do(items[i])
		}
	})
	return errors.Join(errors.Join(errs...), ctx.Err())
}
