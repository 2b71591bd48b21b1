// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// both does two things beside each other that do not depend on each other: over a network it is waiting that takes the
// time. It returns when both have ended, and panics with what either has panicked with.
func both(one, other func() error) error {
	var errs [2]error
	var group panics.Group
	for i, do := range []func() error{one, other} {
		group.Go(func() { errs[i] = do() })
	}
	group.Wait()
	return errors.Join(errs[:]...)
}

// each calls do with items, several at once, and joins their errors.
func each[T any](ctx context.Context, items []T, do func(T) error) error {
	var group errgroup.Group
	group.SetLimit(readers)
	var mu sync.Mutex
	var errs []error
	for _, item := range items {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := do(item); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return errors.Join(append(errs, ctx.Err())...)
}
