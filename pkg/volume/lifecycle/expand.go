// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Expand gives a volume a capacity of at least so many bytes, at most limit (0: any), and returns its record. One that
// is as large already stays as it is. It may be in use meanwhile. What Expand returns is on the disks of all bricks
// that are up. Errors: ErrNotFound, ErrBusy, ErrTooLarge where the volume is larger than limit, since none is made
// smaller, and ErrNewer.
func (s *Volumes) Expand(id string, required, limit int64) (volume.Record, error) {
	r, err := s.expand(id, required, limit)
	if err != nil {
		err = s.Explain(fmt.Errorf("expand volume %s on %s: %w", id, s.Volume, err))
	}
	return r, err
}

func (s *Volumes) expand(id string, required, limit int64) (volume.Record, error) {
	f, seen, err := s.lookReady(id)
	if err != nil {
		return volume.Record{}, err
	}
	r := f.Record
	a, err := s.ChangeAttributes(r, &seen, store.Change{To: func(a *volume.Attributes) error {
		have := a.ApplyTo(r).Capacity
		if limit > 0 && have > limit {
			return fmt.Errorf("it has %d bytes, which is more than %d, and volumes are not made smaller: %w", have, limit, volume.ErrTooLarge)
		}
		if required > have { // what another has set meanwhile counts
			a.Capacity = required
		}
		return nil
	}, Apply: s.applying(func(s *Volumes, a volume.Attributes) error { return s.limitCurrent(r, a.ApplyTo(r)) })})
	if err != nil {
		return volume.Record{}, err
	}
	return a.ApplyTo(r), nil
}
