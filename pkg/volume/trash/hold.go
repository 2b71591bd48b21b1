// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Hold keeps a trash entry from being reaped and purged, until it is released or restored. Like every step of an
// entry it is one rename, so it is had by one process alone, and works on a full Gluster volume. Holding what is
// held already succeeds. Errors: ErrNotFound, and ErrBusy where the entry is just being deleted, restored or
// removed.
func (s *Trash) Hold(name string) error {
	return s.turn(name, "hold", store.RecordSuffix, store.HeldSuffix)
}

// Release makes an entry again what it was before Hold: it goes when it is due. Its errors are those of Hold.
func (s *Trash) Release(name string) error {
	return s.turn(name, "release", store.HeldSuffix, store.RecordSuffix)
}

// turn takes an entry from one state to the other, in which it may be already.
func (s *Trash) turn(name, what, from, to string) error {
	e, err := s.Entry(name)
	if err == nil {
		err = e.Record.CheckWritable()
	}
	switch {
	case err != nil:
	case e.Suffix == to: // perhaps not on disk yet
	case e.Suffix != from || s.MayStillMove(e):
		err = fmt.Errorf("it is just being moved or removed: %w", volume.ErrBusy)
	case to == store.HeldSuffix:
		if err = s.CompleteDeletion(e); err == nil {
			err = s.advance(&e, to)
		}
	default:
		err = s.advance(&e, to)
	}
	if err == nil {
		err = s.Commit()
	}
	if err != nil {
		return s.Explain(fmt.Errorf("%s %s on %s: %w", what, name, s.Volume, err))
	}
	return nil
}
