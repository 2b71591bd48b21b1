// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// sizes remembers how large Gluster volumes are, so that not every creation asks.
type sizes struct {
	mu    sync.Mutex
	known map[gluster.Volume]size
}

type size struct {
	bytes int64
	since time.Time
}

// sizeHolds is for how long what is known counts.
const sizeHolds = time.Minute

// fits returns an ErrTooLarge if what is wanted is more than the Gluster volume has, however full it is, and is not
// there yet.
func (z *sizes) fits(s *lifecycle.Volumes, spec volume.Spec) error {
	err := z.has(s, volume.IDFor(spec.Name), spec.Required)
	if !errors.Is(err, volume.ErrTooLarge) {
		return err
	}
	if _, getErr := s.GetAsMade(volume.IDFor(spec.Name)); !errors.Is(getErr, volume.ErrNotFound) {
		return getErr // it was made when the Gluster volume was larger
	}
	return err
}

// has returns an ErrTooLarge if the Gluster volume has not as many bytes as a volume is to have.
func (z *sizes) has(s *lifecycle.Volumes, id string, wanted int64) error {
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

// total returns how many bytes a Gluster volume has, as it said within the last minute.
func (z *sizes) total(s *lifecycle.Volumes) (int64, error) {
	z.mu.Lock()
	known := z.known[s.Volume]
	z.mu.Unlock()
	if time.Since(known.since) < sizeHolds {
		return known.bytes, nil
	}
	return z.ask(s)
}

func (z *sizes) ask(s *lifecycle.Volumes) (int64, error) {
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
