// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of Restore.
const (
	stepRestoring = "restore: record claimed"
	stepPlaced    = "restore: place made"
	stepReturned  = "restore: data moved back"
	stepEmptied   = "restore: trash entry removed"
)

// EntryID names a trash entry in a cluster of clusters.
type EntryID struct {
	Volume gluster.Volume
	Name   string
}

// ParseEntryID reads <cluster>/<gluster volume>/<entry>, or returns an ErrInvalid.
func ParseEntryID(s string) (EntryID, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || !validID(parts[0]) || !validID(parts[1]) || !validEntry(parts[2]) {
		return EntryID{}, fmt.Errorf("%.160q is not the name of a trash entry, <cluster>/<gluster volume>/<id>.<time>: %w", s, ErrInvalid)
	}
	return EntryID{Volume: gluster.Volume{Cluster: parts[0], Name: parts[1]}, Name: parts[2]}, nil
}

// volumeOf returns the volume's ID in the name of an entry.
func volumeOf(entry string) string {
	if match := entryForm.FindStringSubmatch(entry); match != nil {
		return match[1]
	}
	return ""
}

// TrashEntry is a deleted volume whose data is still there.
type TrashEntry struct {
	// Name is the entry's own: the volume's ID and the time of its creation.
	Name   string
	Record Record
}

// Due is when the reaper may remove the entry, given how long the trash is kept.
func (e TrashEntry) Due(retention time.Duration) time.Time {
	if e.Record.OnDelete == Delete {
		return e.Record.Deleted
	}
	return e.Record.Deleted.Add(retention)
}

// TrashEntries returns what is in the trash, the oldest first. Entries whose deletion
// is still under way are left out; what is wrong with one that cannot be read is in
// the error, beside the others.
func (s *Store) TrashEntries() ([]TrashEntry, error) {
	trash, err := s.dir(trashDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err)
	}
	names, err := trash.Names(0)
	if err != nil {
		return nil, explain(err)
	}
	var entries []TrashEntry
	var damaged []error
	for _, name := range names {
		entry, err := readEntry(trash, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // not complete, or reaped meanwhile
		case err != nil:
			damaged = append(damaged, explain(err))
		default:
			entries = append(entries, entry)
		}
	}
	slices.SortFunc(entries, func(a, b TrashEntry) int {
		return cmp.Or(a.Record.Deleted.Compare(b.Record.Deleted), cmp.Compare(a.Name, b.Name))
	})
	return entries, errors.Join(damaged...)
}

func readEntry(trash *safepath.Dir, name string) (TrashEntry, error) {
	dir, err := trash.Open(name)
	if err != nil {
		return TrashEntry{}, err
	}
	defer dir.Close()
	r, err := readRecord(dir, recordName)
	if err == nil && r.Entry != name {
		err = fmt.Errorf("trash entry %s has the record of %s: %w", name, r.Entry, ErrCorrupt)
	}
	return TrashEntry{Name: name, Record: r}, err
}

// Restore puts a trash entry back where it was and returns its record. Errors:
// ErrNotFound, ErrIncompatible (a volume of that ID exists again), ErrForeign (its
// place is taken) and ErrBusy (the reaper has begun with it). Interrupted, it is
// finished by its repetition.
func (s *Store) Restore(name string) (Record, error) {
	r, err := s.restore(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w: see `glusterfs-csi trash list`", err, ErrNotFound)
	}
	if err != nil {
		return Record{}, explain(fmt.Errorf("restore %s on %s: %w", name, s.volume, err))
	}
	return r, nil
}

func (s *Store) restore(name string) (Record, error) {
	if !validEntry(name) {
		return Record{}, fmt.Errorf("%q is not the name of a trash entry: %w", name, ErrInvalid)
	}
	trash, err := s.dir(trashDir)
	if err != nil {
		return Record{}, err
	}
	// A restore that was interrupted after the entry's own record went has only
	// the volume's.
	if have, err := s.Get(volumeOf(name)); err == nil && have.State == Restoring && have.Entry == name {
		return s.takeBack(trash, have)
	}
	entry, err := readEntry(trash, name)
	if err != nil {
		return Record{}, err
	}
	r := entry.Record
	r = r.become(Restoring)
	if r.NewParents, err = s.missingParents(r.Path); err != nil {
		return Record{}, err
	}
	err = s.claim(r)
	if errors.Is(err, fs.ErrExist) {
		return Record{}, fmt.Errorf("a volume %s is there: %w; delete it first", r.ID, ErrIncompatible)
	}
	if err != nil {
		return Record{}, err
	}
	s.step(stepRestoring)
	back, err := s.takeBack(trash, r)
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrNested) {
		return Record{}, errors.Join(err, s.drop(r.ID))
	}
	return back, err
}

// takeBack does the moving for a record in state restoring.
func (s *Store) takeBack(trash *safepath.Dir, r Record) (Record, error) {
	dir, err := trash.Open(r.Entry)
	if err == nil {
		defer dir.Close()
		if err := s.moveBack(dir, r); err != nil {
			return Record{}, err
		}
		if err := s.isBack(r); err != nil {
			return Record{}, err
		}
		if err := dir.Unlink(recordName); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Record{}, err
		}
		err = trash.Rmdir(r.Entry)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Record{}, err
	}
	s.step(stepEmptied)
	r = r.become(Ready)
	r.Entry, r.Deleted, r.NewParents = "", time.Time{}, nil
	return r, s.change(r)
}

// moveBack renames the data onto an empty directory made for it, so that nothing that
// is in the place can be replaced.
func (s *Store) moveBack(entry *safepath.Dir, r Record) error {
	if gone, err := missing(entry, doomedName); err != nil {
		return err
	} else if !gone {
		return fmt.Errorf("the reaper has begun to remove it: %w", errors.Join(ErrBusy, s.drop(r.ID)))
	}
	if gone, err := missing(entry, dataName); err != nil || gone {
		return err // moved back by an earlier try
	}
	making := r
	making.State = Creating
	place, err := s.makeLast(making)
	if err != nil {
		return err
	}
	place.Close()
	s.step(stepPlaced)
	parent, last, err := s.split(r.Path)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := entry.Rename(dataName, parent, last); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // else another process was faster, which isBack tells
	}
	s.step(stepReturned)
	return nil
}

// isBack makes sure that there is data where the record is about to say so. A volume
// whose directory was gone before it was deleted has none, nor has one that the reaper
// took at the same moment: then nothing of the restoring is left.
func (s *Store) isBack(r Record) error {
	parent, _, err := s.ownDirectory(r)
	if err == nil {
		parent.Close()
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrForeign) {
		return err
	}
	placeholder := r
	placeholder.State = Creating
	err = errors.Join(s.removeEmpty(placeholder), s.removeParents(r))
	if err == nil {
		err = s.drop(r.ID)
	}
	return fmt.Errorf("its data is gone: %w", errors.Join(ErrNotFound, err))
}

func missing(dir *safepath.Dir, name string) (bool, error) {
	found, err := dir.Entry(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	found.Close()
	return false, nil
}

// Purge removes a trash entry now, data first. It blocks until all is gone or ctx is done;
// what is left then is not restorable any more, and goes with the next reaping.
func (s *Store) Purge(ctx context.Context, name string) error {
	if !validEntry(name) {
		return fmt.Errorf("%q is not the name of a trash entry: %w", name, ErrInvalid)
	}
	trash, err := s.dir(trashDir)
	if err != nil {
		return explain(err)
	}
	entry, err := readEntry(trash, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("trash entry %s on %s: %w", name, s.volume, ErrNotFound)
	}
	if err == nil {
		err = s.reap(ctx, entry)
	}
	return explain(err)
}
