// SPDX-License-Identifier: Apache-2.0

// Package provisioned is what the volumes on a Gluster volume have together, and how large that is. It is kept in memory,
// so that no call lists them: it is counted once, where it is bounded before the first call that needs it, followed by
// each operation of this process, and held each minute against the names of the records that there are, for what other
// processes have made, restored and deleted. What others have expanded, and a volume that was deleted and made again
// within a minute, is seen by the reconciler, which reads all records.
//
// A volume counts with its capacity, from before it is made to the end of its deletion, whichever Kubernetes cluster it
// belongs to: the space is one. What is in the trash does not count: it takes space, which Store.Capacity shows, and is
// promised to nobody.
package provisioned

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Sums are what the volumes of each Gluster volume have together. The zero value knows nothing.
type Sums struct {
	mu  sync.Mutex
	all map[gluster.Volume]*Sum
}

// Of is that of one Gluster volume.
func (a *Sums) Of(v gluster.Volume) *Sum {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[v] == nil {
		if a.all == nil {
			a.all = map[gluster.Volume]*Sum{}
		}
		a.all[v] = &Sum{bytes: map[string]int64{}, others: map[string]bool{}, underWay: map[string]bool{}}
	}
	return a.all[v]
}

// Sum is what the volumes of one Gluster volume have together.
type Sum struct {
	mu       sync.Mutex
	counted  bool
	bytes    map[string]int64 // capacities by ID, of what is being made, too
	others   map[string]bool  // IDs of those that were found to be another Kubernetes cluster's
	total    int64
	underWay map[string]bool // IDs of the operations that have reserved something
	// touched are the IDs of which this process knows better than a count that has begun before; nil while nobody counts.
	touched map[string]bool
}

// IsKnown says whether all was counted.
func (s *Sum) IsKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted
}

// Now is what all have, in bytes.
func (s *Sum) Now() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Totals are how many volumes there are, how many of them are other Kubernetes clusters', what all have, and whether
// that was counted.
func (s *Sum) Totals() (volumes, others int, bytes int64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bytes), len(s.others), s.total, s.counted
}

// Reserve lets a volume have so many bytes, if all have at most so many then, and returns what all have without it.
// What is no more than the volume has already always fits. After a reservation that fits comes end.
func (s *Sum) Reserve(id string, bytes, most int64) (total int64, fits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.bytes[id]
	// By subtraction: what is asked for may be near the largest int64.
	if bytes > had && bytes > most-(s.total-had) {
		return s.total, false
	}
	s.underWay[id] = true
	s.put(id, max(had, bytes))
	return s.total, true
}

// End says that the operation is over that has reserved something.
func (s *Sum) End(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underWay, id)
}

// Set says what a volume has.
func (s *Sum) Set(id string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, bytes)
}

// Remove says that there is no such volume any more.
func (s *Sum) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, 0)
	delete(s.bytes, id)
	delete(s.others, id)
}

func (s *Sum) put(id string, bytes int64) {
	s.total += bytes - s.bytes[id]
	s.bytes[id] = bytes
	if s.touched != nil {
		s.touched[id] = true
	}
}

// Count corrects the sum by what is there: by all records, or by those alone whose volumes are not known. ErrBusy
// while another count goes on. What cannot be read counts as it was known; Check names it.
func (s *Sum) Count(ctx context.Context, on *store.Store, all bool) error {
	known, free := s.beginCount()
	if !free {
		return fmt.Errorf("an earlier count waits for GlusterFS: %w", volume.ErrBusy)
	}
	defer s.endCount()
	ids, err := on.IDs()
	if err != nil {
		return err
	}
	wanted := ids
	if !all {
		wanted = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return known[id] })
	}
	found, unreadable, err := on.Sizes(ctx, wanted)
	if err != nil {
		return err
	}
	if unreadable != nil {
		klog.FromContext(ctx).Error(unreadable, "Volumes count as they were known for maxProvisioned, or not at all",
			"glusterVolume", on.Volume.String())
	}
	s.correct(ids, found)
	return nil
}

func (s *Sum) beginCount() (known map[string]bool, free bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.touched != nil {
		return nil, false
	}
	s.touched = maps.Clone(s.underWay)
	known = map[string]bool{}
	for id := range s.bytes {
		known[id] = true
	}
	return known, true
}

func (s *Sum) endCount() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = nil
}

// correct takes over what was counted: the volumes that there are, and the capacities of some.
func (s *Sum) correct(ids []string, found map[string]store.Size) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := map[string]bool{}
	for _, id := range ids {
		there[id] = true
	}
	for id, bytes := range s.bytes {
		if !there[id] && !s.touched[id] {
			s.total -= bytes
			delete(s.bytes, id)
			delete(s.others, id)
		}
	}
	for id, size := range found {
		if s.touched[id] {
			continue
		}
		s.total += size.Bytes - s.bytes[id]
		s.bytes[id] = size.Bytes
		if size.IsOthers {
			s.others[id] = true
		} else {
			delete(s.others, id)
		}
	}
	s.counted = true
}
