// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// begunFile is a file that says that a creation has not come to its end: a record that is not complete, one that was
// moved away to take the creation back, or one where drivers had it before a volume was ready (schema 2 at first, and 1).
type begunFile struct {
	file
	stamp     string // "" if nothing was written yet
	id        string
	inVolumes bool
}

// key is how the file is remembered from one look to the next.
func (b begunFile) key() string {
	if b.stamp == "" {
		return b.id
	}
	return b.stamp
}

// begunBefore is what there is in creating/ of an ID, "" being all.
func (s *Store) begunBefore(id string) ([]begunFile, error) {
	var files []file
	var err error
	if id == "" {
		files, err = s.files(creatingDir)
	} else {
		files, err = s.filesOf(creatingDir, id)
	}
	var all []begunFile
	for _, f := range files {
		stamp, _, found := cutSuffix(f.name, recordSuffix, undoSuffix, revokedSuffix)
		if of, _, ok := parseStamp(stamp); found && ok && (id == "" || of == id) {
			all = append(all, begunFile{file: f, stamp: stamp, id: of})
		}
	}
	return all, err
}

// begunVolume is the creation that a record which is not complete tells of.
func begunVolume(f found) begunFile {
	b := begunFile{file: file{f.dir, f.record.ID + recordSuffix}, id: f.record.ID, inVolumes: true}
	if f.record.Schema > 0 {
		b.stamp = f.record.stamp()
	}
	return b
}

// undoBegun takes back the creations of a volume that have not come to their end. ErrBusy if one
// may still go on.
func (s *Store) undoBegun(id string) error {
	all, err := s.begunBefore(id)
	errs := []error{err}
	f, err := s.look(id)
	errs = append(errs, err)
	if f.state == begun {
		all = append(all, begunVolume(f))
	}
	for _, b := range all {
		if s.mayGoOn(&s.memory.creations, b.key()) {
			errs = append(errs, fmt.Errorf("it is just being made: %w", ErrBusy))
			continue
		}
		errs = append(errs, s.undoFile(b))
	}
	return errors.Join(errs...)
}

// undoFile takes back the creation that a file tells of, unless that is a volume by now.
func (s *Store) undoFile(b begunFile) error {
	if path.Ext(b.name) == recordSuffix {
		if err := s.mayUndo(b); err != nil {
			return err
		}
		creating, err := s.home(creatingDir, b.id)
		if err != nil {
			return err
		}
		aside := undoSuffix
		if b.inVolumes {
			aside = revokedSuffix
		}
		moved := b
		if b.stamp == "" {
			moved.stamp = stamped(b.id, now())
		}
		moved.file = file{creating, moved.stamp + aside}
		if err := b.dir.Rename(b.name, creating, moved.name); err != nil {
			return ignoreNotExist(err) // come to its end meanwhile, or another takes it back
		}
		b = moved
	}
	s.step(stepUndoing)
	return s.finishUndo(b)
}

// mayUndo leaves alone what a newer driver has begun.
func (s *Store) mayUndo(b begunFile) error {
	r, err := readRecord(b.dir, b.name)
	if errors.Is(err, errUnwritten) {
		return nil
	}
	if err == nil {
		err = r.writable()
	}
	return ignoreNotExist(err)
}

// finishUndo takes back a creation whose record was moved aside. Between the look and the move it may have become
// complete, or another's: then it goes back.
func (s *Store) finishUndo(b begunFile) error {
	f, err := s.lookIn(b.dir, b.name)
	if err != nil || f.state == absent {
		return err
	}
	written := f.record.Schema > 0
	if err := f.record.writable(); err != nil {
		return err
	}
	isVolume, err := s.isReady(f.record)
	if err != nil {
		return err
	}
	if !isVolume && strings.HasSuffix(b.name, revokedSuffix) && (f.state == ready || written && f.record.stamp() != b.stamp) {
		return s.returnRecord(b, f.record)
	}
	creations := []Record{f.record}
	if !written {
		creations, err = s.creationsOf(b.id)
	}
	for _, r := range creations {
		if err == nil && !isVolume {
			err = s.takeBack(r)
		}
	}
	if err != nil {
		return err
	}
	return ignoreNotExist(b.dir.Unlink(b.name))
}

// returnRecord undoes the move of a record that was not to be moved.
func (s *Store) returnRecord(b begunFile, r Record) error {
	volumes, err := s.home(volumesDir, r.ID)
	if err == nil {
		err = b.dir.Link(b.name, volumes, r.ID+recordSuffix)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("volume %s on %s is just being made again: %w", r.ID, s.volume, ErrBusy)
	}
	if err != nil {
		return err
	}
	return ignoreNotExist(b.dir.Unlink(b.name))
}

// creationsOf are those of an ID of which only the claims of their paths say where they were to be: nothing was
// written into the record. It reads the claims of all paths.
func (s *Store) creationsOf(id string) ([]Record, error) {
	others, err := s.livesOf(id)
	if err != nil {
		return nil, err
	}
	claims, err := s.files(pathsDir)
	if err != nil {
		return nil, err
	}
	var creations []Record
	for _, claim := range claims {
		content, err := readlink(claim.dir, claim.name)
		if err != nil {
			if ignoreNotExist(err) == nil {
				continue
			}
			return nil, err
		}
		h, err := parseHolder(content)
		if err != nil || h.parent || h.entry != "" || others[h.stamp] || stampedID(h.stamp) != id {
			continue
		}
		creations = append(creations, h.creation())
	}
	return creations, nil
}

// livesOf are the stamps of an ID that have a record of their own: of a volume that is deleted, or was made since. What
// tells of a creation without a stamp comes back where the power went before it was gone for good
// (TestAnEmptyClaimThatComesBackTakesNothingFromTheVolumeMadeSince).
func (s *Store) livesOf(id string) (map[string]bool, error) {
	stamps := map[string]bool{}
	since, err := s.look(id)
	switch {
	case err != nil:
		return nil, err
	case since.state != absent && since.record.Schema == 0:
		return nil, fmt.Errorf("volume %s on %s is just being made again: %w", id, s.volume, ErrBusy)
	case since.state != absent:
		stamps[since.record.stamp()] = true
	}
	entries, err := s.entries(id)
	for _, e := range entries {
		stamps[e.Record.stamp()] = true
	}
	return stamps, err
}
