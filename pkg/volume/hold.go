// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
)

// Hold keeps a trash entry from being reaped and purged, until it is released or restored. Like every step of an
// entry it is one rename, so it is had by one process alone, and works on a full Gluster volume. Holding what is
// held already succeeds. Errors: ErrNotFound, and ErrBusy where the entry is just being deleted, restored or
// removed.
func (s *Store) Hold(name string) error { return s.turn(name, "hold", recordSuffix, heldSuffix) }

// Release makes an entry again what it was before Hold: it goes when it is due. Its errors are those of Hold.
func (s *Store) Release(name string) error { return s.turn(name, "release", heldSuffix, recordSuffix) }

// turn takes an entry from one state to the other, in which it may be already.
func (s *Store) turn(name, what, from, to string) error {
	e, err := s.entry(name)
	if err == nil {
		err = e.Record.writable()
	}
	switch {
	case err != nil:
	case e.suffix == to: // perhaps not on disk yet
	case e.suffix != from || s.underWay(e):
		err = fmt.Errorf("it is just being moved or removed: %w", ErrBusy)
	case to == heldSuffix:
		if err = s.follow(e); err == nil {
			err = s.advance(&e, to)
		}
	default:
		err = s.advance(&e, to)
	}
	if err == nil {
		err = s.commit()
	}
	if err != nil {
		return s.explain(fmt.Errorf("%s %s on %s: %w", what, name, s.volume, err))
	}
	return nil
}
