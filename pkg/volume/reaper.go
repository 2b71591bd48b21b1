// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
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

// Reap removes the trash entries whose time has come (see isDue), and the oldest ones before
// their time as long as the Gluster volume is nearly full. It returns how many it
// removed. It stops between two entries when ctx is done; a kill within one is made
// good by the next call, here or on another host.
func (s *Store) Reap(ctx context.Context, retention time.Duration) (int, error) {
	entries, err := s.entries(func(string) bool { return true })
	reaped := 0
	errs := []error{err}
	take := func(e TrashEntry, early bool) {
		if err := s.reap(ctx, e); err != nil {
			if !errors.Is(err, ErrBusy) {
				errs = append(errs, s.explain(err))
			}
			return
		}
		reaped++
		klog.FromContext(ctx).Info("Removed a deleted volume's data", "glusterVolume", s.volume.String(), "entry", e.Name, "deleted", e.Deleted, "forSpace", early)
	}
	var kept []TrashEntry
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name], there[e.Name+e.suffix] = true, true
		if ctx.Err() != nil {
			return reaped, ctx.Err()
		}
		if e.suffix != doomedSuffix && !s.isDue(e, retention) {
			kept = append(kept, e)
			continue
		}
		take(e, false)
	}
	s.sightings.trash.keep(there)
	for _, e := range kept {
		low, err := s.low()
		if err != nil || !low || ctx.Err() != nil {
			errs = append(errs, err, ctx.Err())
			break
		}
		take(e, true)
	}
	return reaped, errors.Join(errs...)
}

func (s *Store) low() (bool, error) {
	available, total, err := s.Capacity()
	return err == nil && float64(available) < lowSpace*float64(total), err
}

// reap removes one entry: its directory must be the one of the record once more, and the entry is out of
// Restore's reach before the first file goes. ErrBusy if another process has it.
func (s *Store) reap(ctx context.Context, e TrashEntry) error {
	trash, err := s.dir(trashDir)
	if err != nil {
		return err
	}
	if err := e.Record.writable(); err != nil {
		return err
	}
	switch {
	case e.suffix == backSuffix || s.underWay(e):
		return fmt.Errorf("trash entry %s is just being deleted or restored: %w", e.Name, ErrBusy)
	case e.suffix == recordSuffix:
		if err := s.follow(e); err != nil {
			return err
		}
		if err := s.mayRemove(trash, e); err != nil {
			return err
		}
		if err := s.advance(&e, doomedSuffix); err != nil {
			return err
		}
	}
	s.step(stepDoomed)
	if err := s.mayRemove(trash, e); err != nil {
		return err
	}
	own, err := s.notAnothers(ctx, false)
	if err != nil {
		return err
	}
	if err := tree.Remove(ctx, trash, e.Name, own, func() { s.step(stepRemoving) }); err != nil {
		return err
	}
	s.step(stepRemoved)
	if err := s.forgetGFID(e.Record); err != nil {
		return err
	}
	if err := ignoreNotExist(trash.Unlink(e.Name + e.suffix)); err != nil {
		return err
	}
	s.step(stepReaped)
	return nil
}

// mayRemove returns nil if the data of an entry is the volume's own, or gone, and no volume that is there has it.
func (s *Store) mayRemove(trash *safepath.Dir, e TrashEntry) error {
	data, err := trash.Open(e.Name)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer data.Close()
	if err := s.isOwn(data, e.Record); err != nil {
		return ignoreNotExist(err)
	}
	ready, err := s.isReady(e.Record)
	if ready {
		err = fmt.Errorf("trash entry %s on %s is the directory of volume %s, which is there: %w", e.Name, s.volume, e.Record.ID, ErrForeign)
	}
	return err
}
