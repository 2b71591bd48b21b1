// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
)

// Reconcile finishes what this process has seen interrupted for an hour, and nobody
// has repeated: volumes half made are taken back, volumes half deleted go into the trash, and
// half restored ones come back. What it cannot mend is in the error. It works on a volume only
// while lock has it: one that is in use is left for the next time.
func (s *Store) Reconcile(ctx context.Context, lock func(id string) (unlock func(), free bool)) error {
	var errs []error
	alone := func(id string, finish func() error) {
		if ctx.Err() != nil {
			return
		}
		unlock, free := lock(id)
		if !free {
			return
		}
		defer unlock()
		if err := finish(); err != nil {
			errs = append(errs, s.explain(fmt.Errorf("volume %s on %s: %w", id, s.volume, err)))
		}
	}
	errs = append(errs, s.spread(ctx, alone))
	begun, err := s.allBegun(ctx)
	errs = append(errs, s.explain(err))
	for _, b := range begun {
		if s.isAbandoned(&s.memory.creations, b.key()) {
			alone(b.id, func() error { return s.undoFile(b) })
		}
	}
	entries, err := s.entries("")
	errs = append(errs, err)
	deleted := map[string]bool{}
	for _, e := range entries {
		deleted[e.Record.stamp()] = true
		switch {
		case e.suffix == recordSuffix && s.isAbandoned(&s.memory.trash, e.Name):
			alone(e.Record.ID, func() error { return s.follow(e) })
		case e.suffix == backSuffix && s.isAbandoned(&s.memory.trash, e.Name+backSuffix):
			alone(e.Record.ID, func() error { return s.restore(&e) })
		}
	}
	errs = append(errs, s.takeOverAll(ctx, alone), s.explain(s.settlePaths(deleted)), s.settleAttributes(alone))
	return errors.Join(append(errs, ctx.Err())...)
}

// allBegun lists the creations that have not come to their end, of all volumes.
func (s *Store) allBegun(ctx context.Context) ([]begunFile, error) {
	all, err := s.begunBefore("")
	if err != nil {
		return nil, err
	}
	err = s.forEachPage(ctx, func(p Page) {
		for _, f := range p.begun {
			all = append(all, begunVolume(f))
		}
	})
	there := map[string]bool{}
	for _, b := range all {
		there[b.key()] = true
	}
	s.memory.creations.keep(there)
	return all, err
}

// takeOverAll gives every volume of schema 1 a gfid, before the Gluster volume gets bricks that do not have its mark.
func (s *Store) takeOverAll(ctx context.Context, alone func(id string, do func() error)) error {
	return s.forEach(ctx, func(r Record) error {
		if r.Schema == 1 {
			alone(r.ID, func() error { return ignoreNotExist(s.isThere(r)) })
		}
		return nil
	})
}
