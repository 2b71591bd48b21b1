// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// TrashEntry is a deleted volume.
type TrashEntry struct {
	// Name is the entry's own: the volume's ID and Deleted.
	Name    string
	Deleted time.Time
	Record  volume.Record
	// Keeping is as who deleted it has said, which every reaper obeys; where Amend has set it, of who has taken it over.
	Keeping volume.Keeping

	// Unrestorable says why Restore would refuse the entry, as far as that can be seen: "" where it would not.
	Unrestorable string

	Dir    *safepath.Dir // has the record and the data
	Base   string        // of the names of both: Name and Keeping
	Suffix string        // of the record's file: how far the entry has come
	Moved  bool          // the data is in the trash, too
}

// IsNewerThan says which of an entry and a record of the same volume was there last.
func (e TrashEntry) IsNewerThan(r volume.Record) bool {
	return e.Record.Generation > r.Generation || e.Record.Generation == r.Generation && e.Suffix != BackSuffix
}

// Held says whether the entry is kept until it is released.
func (e TrashEntry) Held() bool { return e.Suffix == HeldSuffix }

// Due is when a reaper may remove the entry: as it says itself, or by how long the reaper keeps what says nothing.
func (e TrashEntry) Due(retention time.Duration) time.Time {
	switch {
	case e.Record.OnDelete == volume.Delete:
		return e.Deleted
	case e.Keeping.Retention != volume.Unsaid:
		return e.Deleted.Add(e.Keeping.Retention)
	}
	return e.Deleted.Add(retention)
}

// Kubernetes is whose the entry is: of the Kubernetes cluster that deleted it, or, where it does not say, of the one
// that had the volume.
func (e TrashEntry) Kubernetes() string { return cmp.Or(e.Keeping.Kubernetes, e.Record.Kubernetes) }

// Amend adds to an entry, as it was read, what was changed of the volume, and whose the entry is since it was deleted.
func (s *Store) Amend(e *TrashEntry) error {
	a, err := s.attributesOf(e.Record)
	if err != nil {
		return s.Explain(err)
	}
	if a.Deleted != nil && a.Deleted.Entry == e.Name {
		e.Keeping.Kubernetes = a.Deleted.Kubernetes
	}
	e.Record = a.ApplyTo(e.Record)
	return nil
}

// RecordFile is the file of the entry's record.
func (e TrashEntry) RecordFile() owndir.File { return owndir.File{Dir: e.Dir, Name: e.Base + e.Suffix} }

// EntryFiles returns the entries of a volume, or of all where id is "", the oldest first, without reading their
// records.
func (s *Store) EntryFiles(id string) ([]TrashEntry, error) {
	var files []owndir.File
	var err error
	if id == "" {
		files, err = s.Files(owndir.TrashDir)
	} else {
		files, err = s.FilesOf(owndir.TrashDir, id)
	}
	if err != nil {
		return nil, s.Explain(err)
	}
	var found []TrashEntry
	moved, at := map[string]bool{}, map[string]int{}
	for _, f := range files {
		e, ok := ParseEntry(f)
		switch {
		case !ok || id != "" && volume.IDOfStamp(e.Name) != id:
		case e.Suffix == "":
			moved[e.Name] = true
		default:
			i, twice := at[e.Name]
			switch {
			case !twice:
				at[e.Name] = len(found)
				found = append(found, e)
			case isFurther(e.Suffix, found[i].Suffix): // see secondnames.go
				found[i] = e
			}
		}
	}
	for i := range found {
		found[i].Moved = moved[found[i].Name]
	}
	slices.SortFunc(found, func(a, b TrashEntry) int {
		return cmp.Or(a.Deleted.Compare(b.Deleted), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// Entries is EntryFiles with the records. What is wrong with one that cannot be read is in the error, beside the
// others.
func (s *Store) Entries(id string) ([]TrashEntry, error) {
	found, err := s.EntryFiles(id)
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
			damaged = append(damaged, s.Explain(err))
		default:
			entries = append(entries, e)
		}
	}
	return entries, errors.Join(damaged...)
}

// ParseEntry takes the name of a file in the trash apart. Data has no suffix.
func ParseEntry(f owndir.File) (e TrashEntry, ok bool) {
	e.Dir = f.Dir
	e.Base, e.Suffix, _ = CutSuffix(f.Name, RecordSuffix, HeldSuffix, DoomedSuffix, BackSuffix)
	e.Name, e.Keeping, ok = volume.ParseEntryBase(e.Base)
	if ok {
		_, e.Deleted, ok = volume.ParseStamp(e.Name)
	}
	return e, ok
}

// Entry returns one entry, however far it has come.
func (s *Store) Entry(name string) (TrashEntry, error) {
	if !volume.IsEntryName(name) {
		return TrashEntry{}, fmt.Errorf("%q is not the name of a trash entry: %w", name, volume.ErrInvalid)
	}
	files, err := s.FilesOfEntry(name)
	if err != nil {
		return TrashEntry{}, err
	}
	for _, f := range files {
		e, err := s.ReadEntry(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = s.SettleSuffix(&e)
		}
		return e, err
	}
	return TrashEntry{}, fmt.Errorf("trash entry %s on %s: %w", name, s.Volume, volume.ErrNotFound)
}

// FilesOfEntry are the files that may be the record of the entry with this name: of what says nothing of its keeping,
// which is asked for by name, and of what a list has.
func (s *Store) FilesOfEntry(name string) ([]owndir.File, error) {
	id := volume.IDOfStamp(name)
	shards, err := s.ExistingShards(owndir.TrashDir, id)
	if err != nil {
		return nil, err
	}
	listed, err := s.FilesOf(owndir.TrashDir, id)
	if err != nil {
		return nil, s.Explain(err)
	}
	bases := map[string]bool{name: true}
	for _, f := range listed {
		if e, ok := ParseEntry(f); ok && e.Name == name {
			bases[e.Base] = true
		}
	}
	var files []owndir.File
	for _, base := range slices.Sorted(maps.Keys(bases)) {
		for _, suffix := range EntrySuffixes {
			for _, dir := range shards {
				files = append(files, owndir.File{Dir: dir, Name: base + suffix})
			}
		}
	}
	return files, nil
}

// ReadFiled reads an entry whose record has just come into the trash: its data is not there.
func (s *Store) ReadFiled(f owndir.File) (TrashEntry, error) {
	e, _ := ParseEntry(f)
	return e, s.readRecordOf(&e)
}

// ReadEntry reads the entry that has come as far as its suffix says; fs.ErrNotExist if it has not.
func (s *Store) ReadEntry(f owndir.File) (TrashEntry, error) {
	e, err := s.ReadFiled(f)
	if err != nil {
		return TrashEntry{}, err
	}
	absent, err := owndir.IsMissing(e.Dir, e.Base)
	e.Moved = !absent
	return e, err
}

// readRecordOf reads the record of an entry. ErrBusy if it was completed by another controller so lately that it is
// not seen whole.
func (s *Store) readRecordOf(e *TrashEntry) error {
	f, err := s.FindIn(e.Dir, e.Base+e.Suffix)
	switch {
	case err != nil:
		return err
	case f.State == Absent:
		return fmt.Errorf("trash entry %s: %w", e.Name, fs.ErrNotExist)
	case f.State == Begun:
		return fmt.Errorf("volume %s on %s was made by another controller a moment ago, and is not seen whole yet: %w", volume.IDOfStamp(e.Name), s.Volume, volume.ErrBusy)
	case f.Record.ID != volume.IDOfStamp(e.Name):
		return fmt.Errorf("trash entry %s has the record of %s: %w", e.Name, f.Record.ID, volume.ErrCorrupt)
	}
	e.Record = f.Record
	return nil
}

// MayStillMove says whether the deletion, or its repetition, may just be moving the data.
func (s *Store) MayStillMove(e TrashEntry) bool {
	return e.Suffix == RecordSuffix && !e.Moved && s.MayGoOn(&s.Memory.Trash, e.Name)
}
