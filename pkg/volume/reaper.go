// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of the reaper.
const (
	stepDoomed  = "reap: data doomed"
	stepRemoved = "reap: data removed"
	stepRecord  = "reap: record removed"
)

// lowSpace is the part of the Gluster volume that must be free, lest the oldest trash
// goes before its time.
const lowSpace = 0.05

// Reap removes the trash entries whose time has come, and the oldest ones before
// their time as long as the Gluster volume is nearly full. It returns how many it
// removed. It stops between two entries when ctx is done; a kill within one is made
// good by the next call, here or on another host.
func (s *Store) Reap(ctx context.Context, retention time.Duration) (int, error) {
	entries, err := s.TrashEntries()
	reaped := 0
	errs := []error{err}
	take := func(entry TrashEntry, early bool) {
		if err := s.reap(ctx, entry); err != nil {
			errs = append(errs, explain(err))
			return
		}
		reaped++
		klog.FromContext(ctx).Info("Removed a deleted volume's data", "glusterVolume", s.volume.String(), "entry", entry.Name, "deleted", entry.Record.Deleted, "forSpace", early)
	}
	var kept []TrashEntry
	for _, entry := range entries {
		if ctx.Err() != nil {
			return reaped, ctx.Err()
		}
		if now().Before(entry.Due(retention)) {
			kept = append(kept, entry)
			continue
		}
		take(entry, false)
	}
	for _, entry := range kept {
		low, err := s.low()
		if err != nil || !low || ctx.Err() != nil {
			errs = append(errs, err, ctx.Err())
			break
		}
		take(entry, true)
	}
	return reaped, errors.Join(errs...)
}

func (s *Store) low() (bool, error) {
	available, total, err := s.Capacity()
	return err == nil && float64(available) < lowSpace*float64(total), err
}

func (s *Store) notRestoring(entry TrashEntry) error {
	r, err := s.Get(entry.Record.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && r.State == Restoring && r.Entry == entry.Name {
		return fmt.Errorf("trash entry %s is being restored: %w", entry.Name, ErrBusy)
	}
	return err
}

// reap removes one entry: record and mark must agree once more, and the data is out
// of Restore's reach before the first file goes.
func (s *Store) reap(ctx context.Context, entry TrashEntry) error {
	if err := s.notRestoring(entry); err != nil {
		return err
	}
	trash, err := s.dir(trashDir)
	if err != nil {
		return err
	}
	dir, err := trash.Open(entry.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another reaper was faster
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := s.doom(dir, entry.Record.ID); err != nil {
		return err
	}
	s.step(stepDoomed)
	if err := removeTree(ctx, dir, doomedName, func() { s.step(stepRemoving) }); err != nil {
		return err
	}
	s.step(stepRemoved)
	if err := dir.Unlink(recordName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.step(stepRecord)
	if err := trash.Rmdir(entry.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Store) doom(entry *safepath.Dir, id string) error {
	data, err := entry.Open(dataName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // doomed by an earlier try, or gone before the deletion
	}
	if err != nil {
		return err
	}
	defer data.Close()
	if err := s.isMarked(data, id); err != nil {
		return err
	}
	if err := entry.Rename(dataName, entry, doomedName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Reconcile finishes what was begun an hour ago or longer, was interrupted, and nobody
// has repeated: volumes half made are taken back, volumes half deleted go into the trash,
// half restored ones come back, and files of the driver's own that serve nothing go.
// What it cannot mend is in the error. It works on a volume only while lock has it: one
// that is in use is left for the next time.
func (s *Store) Reconcile(ctx context.Context, lock func(id string) (unlock func(), free bool)) error {
	var errs []error
	for after := ""; ; {
		records, next, err := s.List(after, listPage)
		errs = append(errs, err)
		for _, r := range records {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if r.State == Ready || time.Since(r.Since) <= s.abandoned {
				continue
			}
			unlock, free := lock(r.ID)
			if !free {
				continue
			}
			err := s.settle(ctx, r.ID)
			unlock()
			if err != nil {
				errs = append(errs, explain(fmt.Errorf("volume %s on %s: %w", r.ID, s.volume, err)))
			}
		}
		if next == "" {
			break
		}
		after = next
	}
	return errors.Join(append(errs, explain(s.sweepAside()), explain(s.sweepTrash()))...)
}

// settle finishes what was abandoned, if it is so still.
func (s *Store) settle(ctx context.Context, id string) error {
	r, err := s.Get(id)
	if errors.Is(err, ErrNotFound) || err == nil && time.Since(r.Since) <= s.abandoned {
		return nil
	}
	if err != nil {
		return err
	}
	switch r.State {
	case Creating:
		return s.undo(r)
	case Deleting:
		return s.Delete(ctx, r.ID)
	case Restoring:
		_, err := s.Restore(r.Entry)
		return err
	case Ready:
	}
	return nil
}

// sweepAside removes files that a kill left before they were put in place.
func (s *Store) sweepAside() error {
	return s.sweep(asideDir, func(dir *safepath.Dir, name string) error { return dir.Unlink(name) })
}

// sweepTrash removes entries that a kill left empty: the data went first, the record
// next. One that is not empty is refused by rmdir.
func (s *Store) sweepTrash() error {
	return s.sweep(trashDir, func(dir *safepath.Dir, name string) error {
		err := dir.Rmdir(name)
		if errors.Is(err, unix.ENOTEMPTY) {
			return nil
		}
		return err
	})
}

// sweep calls remove for what was not changed for long in one of the driver's own
// directories.
func (s *Store) sweep(own string, remove func(*safepath.Dir, string) error) error {
	dir, err := s.dir(own)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := dir.Names(0)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		var st unix.Stat_t
		at, err := dir.Entry(name)
		if err == nil {
			st, err = at.Stat()
			at.Close()
		}
		if err == nil && time.Since(time.Unix(st.Mtim.Unix())) > s.abandoned {
			err = remove(dir, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
