// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// HalfMade is a file that says that a creation has not come to its end: a record that is not complete, one that was
// moved away to take the creation back, or one where drivers had it before a volume was ready (schema 2 at first, and
// 1).
type HalfMade struct {
	owndir.File
	Stamp     string // "" if nothing was written yet
	ID        string
	inVolumes bool
}

// Key is how the file is remembered from one look to the next.
func (b HalfMade) Key() string {
	if b.Stamp == "" {
		return b.ID
	}
	return b.Stamp
}

// HalfMadeOf is what there is in creating/ of an ID, "" being all.
func (s *Creations) HalfMadeOf(id string) ([]HalfMade, error) {
	var files []owndir.File
	var err error
	if id == "" {
		files, err = s.Files(owndir.CreatingDir)
	} else {
		files, err = s.FilesOf(owndir.CreatingDir, id)
	}
	var all []HalfMade
	for _, f := range files {
		stamp, _, found := store.CutSuffix(f.Name, store.RecordSuffix, store.UndoSuffix, store.RevokedSuffix)
		if of, _, ok := volume.ParseStamp(stamp); found && ok && (id == "" || of == id) {
			all = append(all, HalfMade{File: f, Stamp: stamp, ID: of})
		}
	}
	return all, err
}

// HalfMadeVolume is the creation that a record which is not complete tells of.
func HalfMadeVolume(f store.Lookup) HalfMade {
	b := HalfMade{File: owndir.File{Dir: f.Dir, Name: f.Record.ID + store.RecordSuffix}, ID: f.Record.ID, inVolumes: true}
	if f.Record.Schema > 0 {
		b.Stamp = f.Record.Stamp()
	}
	return b
}

// UndoHalfMade takes back the creations of a volume that have not come to their end. ErrBusy if one
// may still go on.
func (s *Creations) UndoHalfMade(id string) error {
	all, err := s.HalfMadeOf(id)
	errs := []error{err}
	f, err := s.Find(id)
	errs = append(errs, err)
	if f.State == store.Begun {
		all = append(all, HalfMadeVolume(f))
	}
	for _, b := range all {
		if s.MayGoOn(&s.Memory.Creations, b.Key()) {
			errs = append(errs, fmt.Errorf("it is just being made: %w", volume.ErrBusy))
			continue
		}
		errs = append(errs, s.Undo(b))
	}
	return errors.Join(errs...)
}

// Undo takes back the creation that a file tells of, unless that is a volume by now.
func (s *Creations) Undo(b HalfMade) error {
	if path.Ext(b.Name) == store.RecordSuffix {
		if err := s.mayUndo(b); err != nil {
			return err
		}
		creating, err := s.EnsureShard(owndir.CreatingDir, b.ID)
		if err != nil {
			return err
		}
		aside := store.UndoSuffix
		if b.inVolumes {
			aside = store.RevokedSuffix
		}
		moved := b
		if b.Stamp == "" {
			moved.Stamp = volume.StampOf(b.ID, volume.Now())
		}
		moved.File = owndir.File{Dir: creating, Name: moved.Stamp + aside}
		if err := s.MoveRecord(b.File, moved.File); err != nil {
			return volume.IgnoreNotExist(err) // come to its end meanwhile, or another takes it back
		}
		b = moved
	}
	s.Step(stepUndoing)
	return s.finishUndo(b)
}

// mayUndo leaves alone what a newer driver has begun.
func (s *Creations) mayUndo(b HalfMade) error {
	r, err := store.ReadRecord(b.Dir, b.Name)
	if errors.Is(err, store.ErrUnwritten) {
		return nil
	}
	if err == nil {
		err = r.CheckWritable()
	}
	return volume.IgnoreNotExist(err)
}

// finishUndo takes back a creation whose record was moved aside. Between the look and the move it may have become
// complete, or another's: then it goes back.
func (s *Creations) finishUndo(b HalfMade) error {
	f, err := s.FindIn(b.Dir, b.Name)
	if err != nil || f.State == store.Absent {
		return err
	}
	written := f.Record.Schema > 0
	if err := f.Record.CheckWritable(); err != nil {
		return err
	}
	isVolume, err := s.IsReady(f.Record)
	if err != nil {
		return err
	}
	if !isVolume && strings.HasSuffix(b.Name, store.RevokedSuffix) && (f.State == store.Ready || written && f.Record.Stamp() != b.Stamp) {
		return s.ReturnRecord(b, f.Record)
	}
	creations := []volume.Record{f.Record}
	switch {
	case isVolume:
		creations = nil
	case !written:
		if creations, err = s.creationsOf(b.ID); err != nil {
			return err
		}
	}
	return s.takeAllBack(b, creations)
}

// takeAllBack takes back the creations that a file tells of, and then removes it.
func (s *Creations) takeAllBack(b HalfMade, creations []volume.Record) error {
	for _, r := range creations {
		if err := s.takeBack(r); err != nil {
			return err
		}
	}
	if err := volume.IgnoreNotExist(b.Dir.Unlink(b.Name)); err != nil {
		return err
	}
	var err error
	for _, r := range creations {
		err = errors.Join(err, s.releasePlace(r)) // what another had moved aside, and put back
	}
	return err
}

// ReturnRecord undoes the move of a record that was not to be moved.
func (s *Creations) ReturnRecord(b HalfMade, r volume.Record) error {
	volumes, err := s.EnsureShard(owndir.VolumesDir, r.ID)
	if err == nil {
		err = b.Dir.Link(b.Name, volumes, r.ID+store.RecordSuffix)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("volume %s on %s is just being made again: %w", r.ID, s.Volume, volume.ErrBusy)
	}
	if err != nil {
		return err
	}
	return volume.IgnoreNotExist(b.Dir.Unlink(b.Name))
}

// creationsOf are those of an ID of which only the claims of their paths say where they were to be: nothing was
// written into the record. It reads the claims of all paths, and then who lives: a path is claimed by who has a record
// (TestAnEmptyClaimTakesNothingFromTheVolumeThatIsJustMade).
func (s *Creations) creationsOf(id string) ([]volume.Record, error) {
	claims, err := s.Files(owndir.PathsDir)
	if err != nil {
		return nil, err
	}
	var holders []volume.PathClaim
	for _, claim := range claims {
		content, err := owndir.Readlink(claim.Dir, claim.Name)
		if err != nil {
			if volume.IgnoreNotExist(err) == nil {
				continue
			}
			return nil, err
		}
		h, err := volume.ParsePathClaim(content)
		if err == nil && !h.Parent && h.Entry == "" && volume.IDOfStamp(h.Stamp) == id {
			holders = append(holders, h)
		}
	}
	s.Step(stepClaimsRead)
	lives, err := s.livesOf(id)
	if err != nil {
		return nil, err
	}
	var creations []volume.Record
	for _, h := range holders {
		if !lives[h.Stamp] {
			creations = append(creations, h.Creation())
		}
	}
	return creations, nil
}

// livesOf are the stamps of an ID that have a record of their own: of a volume that is deleted, or was made since, or
// whose record another has moved aside, to find that it is complete
// (TestAnEmptyClaimTakesNothingFromTheVolumeWhoseRecordIsMovedAside). What tells of a creation without a stamp comes back
// where the power went before it was gone for good (TestAnEmptyClaimThatComesBackTakesNothingFromTheVolumeMadeSince).
// The volume is looked for twice, since its record may just go aside, or come back.
func (s *Creations) livesOf(id string) (map[string]bool, error) {
	stamps := map[string]bool{}
	look := func() error {
		since, err := s.Find(id)
		switch {
		case err != nil:
			return err
		case since.State != store.Absent && since.Record.Schema == 0:
			return fmt.Errorf("volume %s on %s is just being made again: %w", id, s.Volume, volume.ErrBusy)
		case since.State != store.Absent:
			stamps[since.Record.Stamp()] = true
		}
		return nil
	}
	if err := look(); err != nil {
		return nil, err
	}
	aside, err := s.HalfMadeOf(id)
	if err != nil {
		return nil, err
	}
	for _, b := range aside {
		stamps[b.Stamp] = true
	}
	entries, err := s.Entries(id)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		stamps[e.Record.Stamp()] = true
	}
	return stamps, look()
}
