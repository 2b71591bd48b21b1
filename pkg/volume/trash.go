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
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
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

	dir    *safepath.Dir // has the record and the data
	suffix string        // of the record's file: how far the entry has come
	moved  bool          // the data is in the trash, too
}

// TrashEntries returns what is in the trash, the oldest first, and says what of it cannot be restored. What is
// wrong with an entry whose record cannot be read is in the error, beside the others.
func (s *Store) TrashEntries() ([]TrashEntry, error) {
	entries, err := s.entries("")
	errs := []error{err}
	for i := range entries {
		entries[i].Unrestorable, err = s.unrestorable(entries[i])
		errs = append(errs, s.explain(err))
		entries[i].Record, err = s.current(entries[i].Record)
		errs = append(errs, err)
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
	if reason, err := s.hasSuccessor(e); reason != "" || err != nil {
		return reason, err
	}
	switch {
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

// hasSuccessor says which volume is there instead of an entry's.
func (s *Store) hasSuccessor(e TrashEntry) (string, error) {
	have, err := s.Get(e.Record.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case have.stamp() != e.Record.stamp():
		return "a volume of its name is there again", nil
	case !e.isNewerThan(have):
		return "it has been restored", nil
	}
	return "", nil
}

// entryFiles returns the entries of a volume, or of all where id is "", the oldest first, without reading their records.
func (s *Store) entryFiles(id string) ([]TrashEntry, error) {
	var files []file
	var err error
	if id == "" {
		files, err = s.files(trashDir)
	} else {
		files, err = s.filesOf(trashDir, id)
	}
	if err != nil {
		return nil, s.explain(err)
	}
	var found []TrashEntry
	moved, at := map[string]bool{}, map[string]int{}
	for _, f := range files {
		e, ok := parseEntry(f)
		switch {
		case !ok || id != "" && stampedID(e.Name) != id:
		case e.suffix == "":
			moved[e.Name] = true
		default:
			i, twice := at[e.Name]
			switch {
			case !twice:
				at[e.Name] = len(found)
				found = append(found, e)
			case isFurther(e.suffix, found[i].suffix): // see secondname.go
				found[i] = e
			}
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
func (s *Store) entries(id string) ([]TrashEntry, error) {
	found, err := s.entryFiles(id)
	if err != nil {
		return nil, err
	}
	var entries []TrashEntry
	var damaged []error
	for _, e := range found {
		err := s.readRecordOf(&e)
		switch {
		case errors.Is(err, fs.ErrNotExist): // restored or reaped meanwhile
		case err != nil:
			damaged = append(damaged, s.explain(err))
		default:
			entries = append(entries, e)
		}
	}
	return entries, errors.Join(damaged...)
}

// parseEntry takes the name of a file in the trash apart. Data has no suffix.
func parseEntry(f file) (e TrashEntry, ok bool) {
	e.dir = f.dir
	e.Name, e.suffix, _ = cutSuffix(f.name, recordSuffix, heldSuffix, doomedSuffix, backSuffix)
	_, e.Deleted, ok = parseStamp(e.Name)
	return e, ok
}

// entry returns one entry, however far it has come.
func (s *Store) entry(name string) (TrashEntry, error) {
	if !validEntry(name) {
		return TrashEntry{}, fmt.Errorf("%q is not the name of a trash entry: %w", name, ErrInvalid)
	}
	homes, err := s.homes(trashDir, stampedID(name))
	if err != nil {
		return TrashEntry{}, err
	}
	for _, suffix := range entrySuffixes {
		for _, dir := range homes {
			e, err := s.readEntry(file{dir, name + suffix})
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = s.settleSuffix(&e)
			}
			return e, err
		}
	}
	return TrashEntry{}, fmt.Errorf("trash entry %s on %s: %w", name, s.volume, ErrNotFound)
}

// readEntry reads the entry that has come as far as its suffix says; fs.ErrNotExist if it has not.
func (s *Store) readEntry(f file) (TrashEntry, error) {
	e, _ := parseEntry(f)
	if err := s.readRecordOf(&e); err != nil {
		return TrashEntry{}, err
	}
	absent, err := missing(e.dir, e.Name)
	e.moved = !absent
	return e, err
}

// readRecordOf reads the record of an entry. ErrBusy if it was completed by another controller so lately that it is
// not seen whole.
func (s *Store) readRecordOf(e *TrashEntry) error {
	f, err := s.lookIn(e.dir, e.Name+e.suffix)
	switch {
	case err != nil:
		return err
	case f.state == absent:
		return fmt.Errorf("trash entry %s: %w", e.Name, fs.ErrNotExist)
	case f.state == begun:
		return fmt.Errorf("volume %s on %s was made by another controller a moment ago, and is not seen whole yet: %w", stampedID(e.Name), s.volume, ErrBusy)
	case f.record.ID != stampedID(e.Name):
		return fmt.Errorf("trash entry %s has the record of %s: %w", e.Name, f.record.ID, ErrCorrupt)
	}
	e.Record = f.record
	return nil
}

// underWay says whether the deletion, or its repetition, may just be moving the data.
func (s *Store) underWay(e TrashEntry) bool {
	return e.suffix == recordSuffix && !e.moved && s.mayGoOn(&s.sightings.trash, e.Name)
}

// advance takes an entry a step further, unless another process has taken one: then it returns
// ErrBusy.
func (s *Store) advance(e *TrashEntry, suffix string) error {
	err := rename(e.dir, e.Name+e.suffix, e.dir, e.Name+suffix)
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
		if err == nil {
			err = s.commit()
		}
	}
	return s.explain(err)
}
