// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
)

// The named points of the reaper.
const (
	stepDoomed   = "reap: entry doomed"
	stepRemoving = "reap: one file removed"
	stepRemoved  = "reap: data removed"
	stepReaped   = "reap: record removed"
)

// lowSpace is the part of the Gluster volume that must be free, lest the oldest trash
// goes before its time.
const lowSpace = 0.05

// slice is how many files and directories of one entry are removed in a round, about a minute's or two: an entry of
// millions holds up no other.
const slice = 50_000

var errSlice = errors.New("the rest goes in the next round")

// Reap removes the trash entries whose time has come (see isDue), and the oldest ones before their time as long as
// the Gluster volume is nearly full, but none that was deleted in the last hour. What is held stays. It returns how
// many it removed. It stops when ctx is done, and leaves the rest of an entry that has more than a slice; both, and
// a kill, are made good by the next call, here or on another host. A record is read when its entry is first seen,
// and when it goes: not in each round. Those of the volumes are read once in liveFor, if anything goes.
func (s *Store) Reap(ctx context.Context, retention time.Duration) (int, error) {
	entries, err := s.entriesForReaper()
	reaped := 0
	errs := []error{err}
	remove := func(e TrashEntry, early bool) (whole bool) {
		if err := s.reapSlice(ctx, e); err != nil {
			if !errors.Is(err, ErrBusy) && !errors.Is(err, errSlice) {
				errs = append(errs, s.explain(err))
			}
			return !errors.Is(err, errSlice)
		}
		reaped++
		klog.FromContext(ctx).Info("Removed a deleted volume's data", "glusterVolume", s.volume.String(), "entry", e.Name, "deleted", e.Deleted, "forSpace", early)
		return true
	}
	var kept []TrashEntry
	for _, e := range entries {
		if ctx.Err() != nil {
			return reaped, ctx.Err()
		}
		switch {
		case e.suffix == doomedSuffix || s.isDue(e, retention):
			remove(e, false)
		case !s.isFresh(e):
			kept = append(kept, e)
		}
	}
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
func (s *Store) entriesForReaper() ([]TrashEntry, error) {
	found, err := s.entryFiles("")
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	var entries []TrashEntry
	var errs []error
	for _, e := range found {
		there[e.Name], there[e.Name+e.suffix] = true, true
		if e.Held() {
			continue
		}
		s.permit.GiveWay()
		onDelete, known := s.remembered.onDelete.get(e.Name)
		if !known {
			read, err := s.readEntry(file{e.dir, e.Name + e.suffix})
			if err != nil {
				errs = append(errs, s.explain(ignoreNotExist(err)))
				continue
			}
			now, err := s.current(read.Record)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			onDelete = now.OnDelete
			s.remembered.onDelete.put(e.Name, onDelete)
		}
		e.Record.OnDelete = onDelete
		entries = append(entries, e)
	}
	s.memory.trash.keep(there)
	s.remembered.onDelete.keep(there)
	return entries, errors.Join(errs...)
}

func (s *Store) low() (bool, error) {
	available, total, err := s.Capacity()
	return err == nil && float64(available) < lowSpace*float64(total), err
}

// reapSlice removes an entry, or as much of it as is due in one round: then it returns errSlice.
func (s *Store) reapSlice(ctx context.Context, e TrashEntry) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e, err := s.readEntry(file{e.dir, e.Name + e.suffix})
	if err != nil {
		return ignoreNotExist(err) // restored or reaped meanwhile
	}
	var removed atomic.Int64
	return s.reap(ctx, e, reaping{begun: func() {}, removed: func() {
		if removed.Add(1) == s.slice {
			cancel(errSlice)
		}
	}})
}

// reaping is told of how far it has come.
type reaping struct {
	begun   func() // once the entry cannot be restored any more
	removed func() // after each file and directory, by several goroutines
}

// reap removes one entry: its directory must be the one of the record once more, and the entry is out of
// Restore's reach before the first file goes. ErrBusy if another process has it.
func (s *Store) reap(ctx context.Context, e TrashEntry, told reaping) error {
	if err := e.Record.writable(); err != nil {
		return err
	}
	switch {
	case e.suffix == backSuffix || e.Held() || s.underWay(e):
		return fmt.Errorf("trash entry %s is just being deleted or restored: %w", e.Name, ErrBusy)
	case e.suffix == recordSuffix:
		if err := s.follow(e); err != nil {
			return err
		}
		if err := s.mayRemove(e); err != nil {
			return err
		}
		if err := s.advance(&e, doomedSuffix); err != nil {
			return err
		}
	}
	told.begun()
	s.step(stepDoomed)
	// What has lost files must not be restorable again because a server forgot this.
	if err := s.commit(); err != nil {
		return err
	}
	if err := s.mayRemove(e); err != nil {
		return err
	}
	own, err := s.notAnothers(ctx, false)
	if err != nil {
		return err
	}
	if err := tree.Remove(ctx, e.dir, e.Name, own, s.permit, func() { s.step(stepRemoving); told.removed() }); err != nil {
		return err
	}
	s.step(stepRemoved)
	if err := s.forget(e); err != nil {
		return err
	}
	s.step(stepReaped)
	return nil
}

// mayRemove returns nil if the data of an entry is the volume's own and nobody else's, or gone. ErrBusy where it went
// meanwhile, or the kernel knew another directory of that name.
func (s *Store) mayRemove(e TrashEntry) error {
	data, err := e.dir.Open(e.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer data.Close()
		err = s.isOwn(data, e.Record)
	}
	if err == nil {
		err = s.isDeletedAlone(data, e)
	}
	if err != nil && ignoreNotExist(err) == nil {
		err = fmt.Errorf("%w: %w", err, ErrBusy)
	}
	return err
}

// forget removes what is known of an entry whose data is gone. What is known of a volume that is there stays.
func (s *Store) forget(e TrashEntry) error {
	ready, err := s.isReady(e.Record)
	if err == nil && !ready {
		err = errors.Join(s.forgetGFID(e.Record), s.forgetAttributes(e.Record, math.MaxInt64))
	}
	if err == nil {
		err = ignoreNotExist(e.dir.Unlink(e.Name + e.suffix))
	}
	return err
}
