// SPDX-License-Identifier: Apache-2.0

package permits

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// Both does two things that do not depend on each other, beside each other as long as there is a permit that nobody
// waits for: over a network it is waiting that takes the time. Each gets the permit that it has. It returns when both
// have ended, and panics with what either has panicked with.
func Both(permit *Permit, one, other func(*Permit) error) error {
	another, free := permit.Another()
	if !free {
		if permit.otherFirst {
			one, other = other, one
		}
		err := one(permit)
		return errors.Join(err, other(permit))
	}
	var err, otherErr error
	var beside panics.Group
	beside.Go(func() {
		defer another.Release()
		otherErr = other(another)
	})
	caught := panics.Try(func() { err = one(permit) })
	permit.Without(beside.Wait)
	caught.Again()
	return errors.Join(err, otherErr)
}

// Readers bounds what one operation reads at once: records, for one.
const Readers = 8

// Beside calls do for each number below n, several at once as long as there are permits that nobody waits for, and
// returns when all have returned. It panics with what one of them has panicked with.
func Beside(permit *Permit, n int, do func(i int)) {
	var next atomic.Int64
	work := func(permit *Permit) {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			permit.GiveWay()
			do(i)
		}
	}
	var others panics.Group
	for range min(Readers, n) - 1 {
		another, free := permit.Another()
		if !free {
			break
		}
		others.Go(func() {
			defer another.Release()
			work(another)
		})
	}
	caught := panics.Try(func() { work(permit) })
	permit.Without(others.Wait)
	caught.Again()
}

// Each calls do with items, several at once, and joins their errors.
func Each[T any](ctx context.Context, permit *Permit, items []T, do func(T) error) error {
	errs := make([]error, len(items))
	Beside(permit, len(items), func(i int) {
		if ctx.Err() == nil {
			errs[i] = do(items[i])
		}
	})
	return errors.Join(errors.Join(errs...), ctx.Err())
}
