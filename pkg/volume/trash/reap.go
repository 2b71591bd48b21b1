// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// The named points of the reaper.
const (
	stepDoomed   = "reap: entry doomed"
	stepRemoving = "reap: one file removed"
	stepRemoved  = "reap: data removed"
	stepReaped   = "reap: record removed"
)

// slice is how many files and directories of one entry are removed in a round, about a minute's or two: an entry of
// millions holds up no other.
const slice = 50_000

var errSlice = errors.New("the rest goes in the next round")

// Reap removes the trash entries whose time has come (see isDue; the retention is for those that do not say their own),
// and the oldest ones of its own Kubernetes cluster before their time as long as the Gluster volume is nearly full, but
// none that was deleted in the last hour. What is held stays. It returns how
// many it removed. It stops when ctx is done, and leaves the rest of an entry that has more than a slice; both, and
// a kill, are made good by the next call, here or on another host. A record is read when its entry is first seen,
// and when it goes: not in each round. Those of the volumes are read once in liveFor, if anything goes.
func (s *Trash) Reap(ctx context.Context, retention time.Duration) (int, error) {
	entries, err := s.entriesForReaper()
	reaped := 0
	errs := []error{err}
	remove := func(e store.TrashEntry, early bool) (whole bool) {
		if err := s.reapSlice(ctx, e); err != nil {
			if !errors.Is(err, volume.ErrBusy) && !errors.Is(err, errSlice) {
				errs = append(errs, s.Explain(err))
			}
			return !errors.Is(err, errSlice)
		}
		reaped++
		klog.FromContext(ctx).Info("Removed a deleted volume's data", "glusterVolume", s.Volume.String(), "entry", e.Name, "deleted", e.Deleted, "forSpace", early)
		return true
	}
	var kept []store.TrashEntry
	for _, e := range entries {
		if ctx.Err() != nil {
			return reaped, ctx.Err()
		}
		switch {
		case e.Suffix == store.DoomedSuffix || s.isDue(e, retention):
			remove(e, false)
		case s.mayGoForSpace(e):
			kept = append(kept, e)
		}
	}
	s.tellLow(kept)
	for _, e := range kept {
		low, err := s.low()
		if err != nil || !low || ctx.Err() != nil {
			errs = append(errs, err, ctx.Err())
			break
		}
		if !remove(e, true) {
			break // the rest of it may be all the space that is needed
		}
	}
	return reaped, errors.Join(errs...)
}

// entriesForReaper returns the entries that are not held, the oldest first. Of their records it fills in what says
// whether they are due.
func (s *Trash) entriesForReaper() ([]store.TrashEntry, error) {
	found, err := s.EntryFiles("")
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	content := Content{Entries: len(found)}
	var entries []store.TrashEntry
	var errs []error
	for _, e := range found {
		there[e.Name], there[e.Name+e.Suffix] = true, true
		if e.Held() {
			content.Held++
			continue
		}
		s.Permit.GiveWay()
		noted, known := s.remembered.noted.get(e.Name)
		if !known {
			read, err := s.ReadEntry(e.RecordFile())
			if err != nil {
				errs = append(errs, s.Explain(volume.IgnoreNotExist(err)))
				continue
			}
			if err := s.Amend(&read); err != nil {
				errs = append(errs, err)
				continue
			}
			noted = note{read.Record.OnDelete, read.Record.Capacity, read.Kubernetes()}
			s.remembered.noted.put(e.Name, noted)
		}
		e.Record.OnDelete, e.Keeping.Kubernetes = noted.onDelete, noted.kubernetes
		content.add(e, noted, s.Kubernetes)
		entries = append(entries, e)
	}
	s.Memory.Trash.Keep(there)
	s.remembered.noted.keep(there)
	s.remembered.see(content)
	return entries, errors.Join(errs...)
}

// reapSlice removes an entry, or as much of it as is due in one round: then it returns errSlice.
func (s *Trash) reapSlice(ctx context.Context, e store.TrashEntry) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e, err := s.ReadEntry(e.RecordFile())
	if err != nil && volume.IgnoreNotExist(err) == nil { // restored, held or removed by another since it was listed
		err = fmt.Errorf("%w: %w", volume.ErrBusy, err)
	}
	if err != nil {
		return err
	}
	if err := s.SettleSuffix(&e); err != nil {
		return err
	}
	var removed atomic.Int64
	return s.reap(ctx, e, reaping{begun: func() {}, removed: func() {
		s.remembered.countRemoved()
		if removed.Add(1) == s.Slice {
			cancel(errSlice)
		}
	}})
}
