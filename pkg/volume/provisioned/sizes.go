// SPDX-License-Identifier: Apache-2.0

package provisioned

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Sizes remembers how large Gluster volumes are, so that not every creation asks.
type Sizes struct {
	mu    sync.Mutex
	known map[gluster.Volume]size
}

type size struct {
	bytes int64
	since time.Time
}

// sizeHolds is for how long what is known counts.
const sizeHolds = time.Minute

// Fits returns an ErrTooLarge if what is wanted is more than the Gluster volume has, however full it is, and is not
// there yet.
func (z *Sizes) Fits(s *store.Store, spec volume.Spec) error {
	err := z.Has(s, volume.IDFor(spec.Name), spec.Required)
	if !errors.Is(err, volume.ErrTooLarge) {
		return err
	}
	if _, getErr := s.GetAsMade(volume.IDFor(spec.Name)); !errors.Is(getErr, volume.ErrNotFound) {
		return getErr // it was made when the Gluster volume was larger
	}
	return err
}

// Has returns an ErrTooLarge if the Gluster volume has not as many bytes as a volume is to have.
func (z *Sizes) Has(s *store.Store, id string, wanted int64) error {
	z.mu.Lock()
	known := z.known[s.Volume]
	z.mu.Unlock()
	if wanted == 0 || wanted <= known.bytes && time.Since(known.since) < sizeHolds {
		return nil
	}
	total, err := z.ask(s)
	if err != nil || wanted <= total {
		return err
	}
	return fmt.Errorf("volume %s would have %d bytes, and %s has %d in all: %w: ask for less, or add bricks",
		id, wanted, s.Volume, total, volume.ErrTooLarge)
}

// Total returns how many bytes a Gluster volume has, as it said within the last minute.
func (z *Sizes) Total(s *store.Store) (int64, error) {
	z.mu.Lock()
	known := z.known[s.Volume]
	z.mu.Unlock()
	if time.Since(known.since) < sizeHolds {
		return known.bytes, nil
	}
	return z.ask(s)
}

func (z *Sizes) ask(s *store.Store) (int64, error) {
	_, total, err := s.Capacity()
	if err != nil {
		return 0, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.known == nil {
		z.known = map[gluster.Volume]size{}
	}
	z.known[s.Volume] = size{total, time.Now()}
	return total, nil
}
