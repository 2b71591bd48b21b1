// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

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

// isNewerThan says which of an entry and a record of the same volume was there last.
func (e TrashEntry) isNewerThan(r Record) bool {
	return e.Record.Generation > r.Generation || e.Record.Generation == r.Generation && e.suffix != backSuffix
}

// Held says whether the entry is kept until it is released.
func (e TrashEntry) Held() bool { return e.suffix == heldSuffix }

// Due is when the reaper may remove the entry, given how long the trash is kept.
func (e TrashEntry) Due(retention time.Duration) time.Time {
	if e.Record.OnDelete == Delete {
		return e.Deleted
	}
	return e.Deleted.Add(retention)
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
	moved := map[string]bool{}
	for _, f := range files {
		e, ok := parseEntry(f)
		switch {
		case !ok || id != "" && stampedID(e.Name) != id:
		case e.suffix == "":
			moved[e.Name] = true
		default:
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
	for _, suffix := range []string{recordSuffix, heldSuffix, backSuffix, doomedSuffix} {
		for _, dir := range homes {
			e, err := s.readEntry(file{dir, name + suffix})
			if !errors.Is(err, fs.ErrNotExist) {
				return e, err
			}
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
	return e.suffix == recordSuffix && !e.moved && s.mayGoOn(&s.memory.trash, e.Name)
}
