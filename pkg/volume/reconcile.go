// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Reconcile finishes what was begun an hour ago or longer, was interrupted, and nobody
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
			errs = append(errs, explain(fmt.Errorf("volume %s on %s: %w", id, s.volume, err)))
		}
	}
	claims, err := s.claims()
	errs = append(errs, explain(err))
	for _, b := range claims {
		if time.Since(b.since) > s.abandoned {
			alone(b.id, func() error { return s.undoClaim(b) })
		}
	}
	entries, err := s.entries(func(string) bool { return true })
	errs = append(errs, err)
	for _, e := range entries {
		switch {
		case e.suffix == recordSuffix && time.Since(e.Deleted) > s.abandoned:
			alone(e.Record.ID, func() error { return s.follow(e) })
		case e.suffix == backSuffix:
			alone(e.Record.ID, func() error { return s.restoreAbandoned(e) })
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// restoreAbandoned goes on with a restoration that was begun long ago, which is when the
// record got its name.
func (s *Store) restoreAbandoned(e TrashEntry) error {
	trash, err := s.dir(trashDir)
	if err != nil {
		return err
	}
	file, err := trash.Entry(e.Name + e.suffix)
	if err != nil {
		return gone(err)
	}
	st, err := file.Stat()
	file.Close()
	if err != nil || time.Since(time.Unix(st.Ctim.Unix())) <= s.abandoned {
		return gone(err)
	}
	return s.restore(&e)
}
