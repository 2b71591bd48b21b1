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
	"sync/atomic"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
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

func validEntry(name string) bool {
	_, _, ok := parseStamp(name)
	return ok
}

// TrashEntry is a deleted volume.
type TrashEntry struct {
	// Name is the entry's own: the volume's ID and Deleted.
	Name    string
	Deleted time.Time
	Record  Record

	// Unrestorable says why Restore would refuse the entry, as far as that can be seen: "" where it would not.
	Unrestorable string

	suffix string // of the record's file: how far the entry has come
	moved  bool   // the data is in the trash, too
}

// TrashEntries returns what is in the trash, the oldest first, and says what of it cannot be restored. What is
// wrong with an entry whose record cannot be read is in the error, beside the others.
func (s *Store) TrashEntries() ([]TrashEntry, error) {
	entries, err := s.entries(func(string) bool { return true })
	errs := []error{err}
	for i := range entries {
		entries[i].Unrestorable, err = s.unrestorable(entries[i])
		errs = append(errs, s.explain(err))
	}
	return entries, errors.Join(errs...)
}

func (s *Store) unrestorable(e TrashEntry) (string, error) {
	if e.suffix == doomedSuffix {
		return "it is being removed", nil
	}
	if err := e.Record.writable(); err != nil {
		return err.Error(), nil //nolint:nilerr // that is the answer
	}
	have, err := s.Get(e.Record.ID)
	switch {
	case err == nil && have.stamp() == e.Record.stamp():
		return "it has been restored", nil
	case err == nil:
		return "a volume of its name is there again", nil
	case !errors.Is(err, ErrNotFound):
		return "", err
	case !e.moved:
		err := s.isThere(e.Record)
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrForeign)) && !s.underWay(e) {
			return "its data is gone", nil
		}
		return "", nil
	case e.suffix == backSuffix:
		return "", nil // its place is made already, perhaps
	}
	free, err := s.isFree(e.Record.Path)
	if err == nil && !free {
		return "something is in its place, " + e.Record.Path, nil
	}
	return "", err
}

// entryFiles returns the entries of the volumes that match, the oldest first, without reading their records.
func (s *Store) entryFiles(match func(id string) bool) ([]TrashEntry, error) {
	names, err := s.namesIn(trashDir)
	if err != nil {
		return nil, s.explain(err)
	}
	var found []TrashEntry
	moved := map[string]bool{}
	for _, name := range names {
		if e, ok := parseEntry(name); !ok || !match(stampedID(e.Name)) {
			continue
		} else if e.suffix == "" {
			moved[name] = true
		} else {
			found = append(found, e)
		}
	}
	for i := range found {
		found[i].moved = moved[found[i].Name]
	}
	slices.SortFunc(found, func(a, b TrashEntry) int {
		return cmp.Or(a.Deleted.Compare(b.Deleted), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// entries is entryFiles with the records. What is wrong with one that cannot be read is in the error, beside the
// others.
func (s *Store) entries(match func(id string) bool) ([]TrashEntry, error) {
	found, err := s.entryFiles(match)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	trash, err := s.dir(trashDir)
	if err != nil {
		return nil, s.explain(err)
	}
	var entries []TrashEntry
	var damaged []error
	for _, e := range found {
		r, err := s.readComplete(trash, e.Name+e.suffix)
		if err == nil && r.ID != stampedID(e.Name) {
			err = fmt.Errorf("trash entry %s has the record of %s: %w", e.Name, r.ID, ErrCorrupt)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // restored or reaped meanwhile
		case err != nil:
			damaged = append(damaged, s.explain(err))
		default:
			e.Record = r
			entries = append(entries, e)
		}
	}
	return entries, errors.Join(damaged...)
}

// parseEntry takes the name of a file in the trash apart. Data has no suffix.
func parseEntry(file string) (e TrashEntry, ok bool) {
	e.Name = file
	for _, suffix := range []string{recordSuffix, heldSuffix, doomedSuffix, backSuffix} {
		if name, found := strings.CutSuffix(file, suffix); found {
			e.Name, e.suffix = name, suffix
			break
		}
	}
	_, e.Deleted, ok = parseStamp(e.Name)
	return e, ok
}

// entry returns one entry, however far it has come.
func (s *Store) entry(name string) (TrashEntry, error) {
	if !validEntry(name) {
		return TrashEntry{}, fmt.Errorf("%q is not the name of a trash entry: %w", name, ErrInvalid)
	}
	for _, suffix := range []string{recordSuffix, heldSuffix, backSuffix, doomedSuffix} {
		e, err := s.readEntry(name, suffix)
		if !errors.Is(err, fs.ErrNotExist) {
			return e, err
		}
	}
	return TrashEntry{}, fmt.Errorf("trash entry %s on %s: %w", name, s.volume, ErrNotFound)
}

// readEntry reads the entry that has come as far as its suffix says; fs.ErrNotExist if it has not.
func (s *Store) readEntry(name, suffix string) (TrashEntry, error) {
	trash, err := s.dir(trashDir)
	if err != nil {
		return TrashEntry{}, err
	}
	e, _ := parseEntry(name + suffix)
	if e.Record, err = s.readComplete(trash, name+suffix); err != nil {
		return TrashEntry{}, err
	}
	if e.Record.ID != stampedID(name) {
		return TrashEntry{}, fmt.Errorf("trash entry %s has the record of %s: %w", name, e.Record.ID, ErrCorrupt)
	}
	absent, err := missing(trash, name)
	e.moved = !absent
	return e, err
}

// underWay says whether the deletion, or its repetition, may just be moving the data.
func (s *Store) underWay(e TrashEntry) bool {
	return e.suffix == recordSuffix && !e.moved && s.mayGoOn(&s.sightings.trash, e.Name)
}

// advance takes an entry a step further, unless another process has taken one: then it returns
// ErrBusy.
func (s *Store) advance(e *TrashEntry, suffix string) error {
	trash, err := s.dir(trashDir)
	if err != nil {
		return err
	}
	err = rename(trash, e.Name+e.suffix, trash, e.Name+suffix)
	if err != nil && ignoreNotExist(err) == nil {
		return fmt.Errorf("trash entry %s is being restored or removed by another process: %w", e.Name, ErrBusy)
	}
	e.suffix = suffix
	return err
}

// Purging is how far Purge has come, for others to look at while it runs.
type Purging struct {
	Begun   atomic.Bool  // the entry cannot be restored any more
	Removed atomic.Int64 // files and directories
}

// Purge removes a trash entry now, data first. It blocks until all is gone or ctx is done;
// what is left then is not restorable any more, and goes with the next reaping. Errors:
// ErrNotFound, ErrHeld, and ErrBusy where it is just being deleted or restored.
func (s *Store) Purge(ctx context.Context, name string, p *Purging) error {
	e, err := s.entry(name)
	switch {
	case err != nil:
	case e.Held():
		err = fmt.Errorf("purge %s on %s: %w: release it first (`glusterfs-csi trash release`)", name, s.volume, ErrHeld)
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = s.reap(ctx, e, reaping{begun: func() { p.Begun.Store(true) }, removed: func() { p.Removed.Add(1) }})
	}
	return s.explain(err)
}
