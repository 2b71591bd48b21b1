// SPDX-License-Identifier: Apache-2.0

package trash

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

// lowSpace is the part of the Gluster volume, of its bytes and of its inodes, that must be free, lest the oldest trash
// goes before its time.
const lowSpace = 0.05

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
			now, err := s.Current(read.Record)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			noted = note{now.OnDelete, now.Capacity, now.Kubernetes}
			s.remembered.noted.put(e.Name, noted)
		}
		e.Record.OnDelete, e.Record.Kubernetes = noted.onDelete, noted.kubernetes
		content.add(e, noted, s.Kubernetes)
		entries = append(entries, e)
	}
	s.Memory.Trash.Keep(there)
	s.remembered.noted.keep(there)
	s.remembered.see(content)
	return entries, errors.Join(errs...)
}

// nearlyLow is the part of the Gluster volume that must be free, lest it is told that the trash goes before its time
// soon.
const nearlyLow = 0.10

// tellLow tells what trash goes next, of what is not due, where space is nearly low.
func (s *Trash) tellLow(kept []store.TrashEntry) {
	if s.remembered.Low == nil || len(kept) == 0 || kept[0].Name == s.remembered.toldLow {
		return
	}
	if free, err := s.FreePart(); err != nil || free >= nearlyLow {
		return
	}
	next, err := s.ReadEntry(kept[0].RecordFile())
	if err != nil {
		return // it is restored or reaped just now
	}
	s.remembered.toldLow = kept[0].Name
	s.remembered.Low(Low{Next: next, Waiting: len(kept)})
}

func (s *Trash) low() (bool, error) {
	free, err := s.FreePart()
	return err == nil && free < lowSpace, err
}

// reapSlice removes an entry, or as much of it as is due in one round: then it returns errSlice.
func (s *Trash) reapSlice(ctx context.Context, e store.TrashEntry) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e, err := s.ReadEntry(e.RecordFile())
	if err != nil {
		return volume.IgnoreNotExist(err) // restored or reaped meanwhile
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

// reaping is told of how far it has come.
type reaping struct {
	begun   func() // once the entry cannot be restored any more
	removed func() // after each file and directory, by several goroutines
}

// reap removes one entry: its directory must be the one of the record once more, and the entry is out of
// Restore's reach before the first file goes. ErrBusy if another process has it.
func (s *Trash) reap(ctx context.Context, e store.TrashEntry, told reaping) error {
	if err := e.Record.CheckWritable(); err != nil {
		return err
	}
	switch {
	case e.Suffix == store.BackSuffix || e.Held() || s.MayStillMove(e):
		return fmt.Errorf("trash entry %s is just being deleted or restored: %w", e.Name, volume.ErrBusy)
	case e.Suffix == store.RecordSuffix:
		if err := s.CompleteDeletion(e); err != nil {
			return err
		}
		if err := s.mayRemove(e); err != nil {
			return err
		}
		if err := s.advance(&e, store.DoomedSuffix); err != nil {
			return err
		}
	}
	told.begun()
	s.Step(stepDoomed)
	// What has lost files must not be restorable again because a server forgot this.
	if err := s.Commit(); err != nil {
		return err
	}
	if err := s.mayRemove(e); err != nil {
		return err
	}
	if err := s.removeData(ctx, e, told.removed); err != nil {
		return err
	}
	s.Step(stepRemoved)
	if err := s.forget(e); err != nil {
		return err
	}
	s.Step(stepReaped)
	return nil
}

// removeData removes the directory of an entry. A brick that has forgotten what was removed before has files that no
// list of another brick's names, and GlusterFS says of a directory that is removed on one brick alone that it is. It
// brings it back when it is asked for by name: TestAPurgeThatABrickForgotLeavesNothing.
func (s *Trash) removeData(ctx context.Context, e store.TrashEntry, removed func()) error {
	own, err := s.KeepOut(ctx, false)
	if err != nil {
		return err
	}
	const attempts = 10
	for range attempts {
		if err := tree.Remove(ctx, e.Dir, e.Base, own, s.Permit, func() { s.Step(stepRemoving); removed() }); err != nil {
			return err
		}
		if absent, err := store.IsMissing(e.Dir, e.Base); absent || err != nil {
			return err
		}
	}
	return fmt.Errorf("the data of trash entry %s on %s comes back again and again: %w: see `gluster volume heal %s info`",
		e.Name, s.Volume, volume.ErrBusy, s.Volume.Name)
}

// mayRemove returns nil if the data of an entry is the volume's own and nobody else's, or gone. ErrBusy where it went
// meanwhile, or the kernel knew another directory of that name.
func (s *Trash) mayRemove(e store.TrashEntry) error {
	data, err := e.Dir.Open(e.Base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer data.Close()
		err = s.CheckIdentity(data, e.Record)
	}
	if err == nil {
		err = s.isDeletedAlone(data, e)
	}
	if err != nil && volume.IgnoreNotExist(err) == nil {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	return err
}

// forget removes what is known of an entry whose data is gone. What is known of a volume that is there stays.
func (s *Trash) forget(e store.TrashEntry) error {
	ready, err := s.IsReady(e.Record)
	if err == nil && !ready {
		err = errors.Join(s.ForgetGFID(e.Record), s.ForgetAttributes(e.Record, math.MaxInt64))
	}
	if err == nil {
		err = volume.IgnoreNotExist(e.Dir.Unlink(e.Base + e.Suffix))
	}
	return err
}
