// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// lookAtEntries reads the records in the trash, and finds the data that has none.
func (s *Checker) lookAtEntries(ctx context.Context, found *inventory) error {
	all, err := s.Files(owndir.TrashDir)
	if err != nil {
		return err
	}
	var entries []store.TrashEntry
	moved, recorded := map[string]owndir.File{}, map[string]bool{}
	for _, f := range all {
		e, ok := store.ParseEntry(f)
		switch {
		case !ok: // nothing of the driver's
		case e.Suffix == "":
			moved[e.Base] = f
		default:
			entries = append(entries, e)
			recorded[e.Base] = true
		}
	}
	for base, f := range moved {
		if !recorded[base] {
			found.strays = append(found.strays, f)
		}
	}
	return permits.Each(ctx, s.Permit, entries, func(e store.TrashEntry) error {
		_, e.Moved = moved[e.Base]
		r, err := store.ReadRecord(e.Dir, e.Base+e.Suffix)
		switch {
		case err != nil && volume.IgnoreNotExist(err) == nil:
			return nil
		case volume.IsUnreadable(err):
			found.add(unreadableProblem(e.Name, s.PathOf(e.RecordFile()), err))
			return nil
		case err != nil:
			return err
		}
		e.Record = r
		found.mu.Lock()
		defer found.mu.Unlock()
		found.entries = append(found.entries, e)
		found.deleted[r.Stamp()] = true
		return nil
	})
}

// lookAtData holds the data in the trash against its records.
func (s *Checker) lookAtData(ctx context.Context, found *inventory) error {
	for _, f := range found.strays {
		p := Problem{
			Kind: TrashNoRecord, Subject: f.Name, Path: s.PathOf(f), id: volume.IDOfStamp(f.Name), Why: "no record tells of this data",
			Cure: "nothing: look whose it is, and move it out of the trash or remove it by hand",
		}
		if err := s.addStray(found, f, p); err != nil {
			return err
		}
	}
	return permits.Each(ctx, s.Permit, found.entries, func(e store.TrashEntry) error {
		if _, restored := found.volumes[e.Record.Stamp()]; restored || e.Suffix == store.DoomedSuffix {
			return nil // on its way, or nothing but a record
		}
		// A list is what one brick says: see pkg store, place.go.
		if absent, err := owndir.IsMissing(e.Dir, e.Base); err != nil || absent {
			if err == nil && e.Suffix != store.BackSuffix { // else it may be back already
				err = s.lookAtMissingData(found, e)
			}
			return err
		}
		return s.lookAtEntryData(found, e)
	})
}

func (s *Checker) lookAtEntryData(found *inventory, e store.TrashEntry) error {
	data, err := e.Dir.Open(e.Base)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	defer data.Close()
	own, err := s.IsKnownAs(data, e.Record)
	if err == nil && own {
		var gfid string
		if gfid, err = store.GFIDOf(data); err == nil {
			err = s.lookAtNames(found, data, gfid, e.Record)
		}
	}
	if err != nil || own {
		return volume.IgnoreNotExist(err)
	}
	cure, repair, err := s.cureStray(found, owndir.File{Dir: e.Dir, Name: e.Base})
	if cure == "" {
		cure = "nothing: look whose it is, and move it out of the trash; the entry's own data is not there"
	}
	found.add(Problem{Kind: TrashOtherData, Subject: e.Name, Path: e.Record.Path, id: e.Record.ID,
		Why: "the directory in the trash is not the one of the record", Cure: cure, repair: repair})
	return err
}

// lookAtMissingData looks for the data of an entry where the volume was.
func (s *Checker) lookAtMissingData(found *inventory, e store.TrashEntry) error {
	p := Problem{Kind: TrashNoData, Subject: e.Name, Path: e.Record.Path, id: e.Record.ID,
		Why: "its data is gone", Cure: "nothing: the entry is forgotten when it is due, or by `trash purge`"}
	dir, err := s.Root.Open(e.Record.Path)
	if err == nil {
		var own bool
		own, err = s.IsKnownAs(dir, e.Record)
		dir.Close()
		if own {
			p.Kind, p.Why = TrashHalfDeleted, "its deletion was interrupted, and its data is still in its place"
			p.Cure, p.repair = "move the data into the trash", func() error { return s.Trash.CompleteDeletion(e) }
		}
	}
	if volume.IsNotThere(err) || err != nil && volume.IgnoreNotExist(err) == nil {
		err = nil
	}
	if err != nil {
		return err
	}
	if !s.IsAbandoned(&s.Memory.Trash, e.Name) && (!s.IsClockRight() || volume.Now().Sub(e.Deleted) <= s.Abandoned) {
		return nil // its deletion may go on
	}
	found.add(p)
	return nil
}

// cureStray says what becomes of a directory of the driver's own that is not where it belongs: the directory of a
// volume that is there goes back to its place, if that is free. Every other stays: then there is no cure.
func (s *Checker) cureStray(found *inventory, f owndir.File) (cure string, repair func() error, err error) {
	dir, err := f.Dir.Open(f.Name)
	if err != nil {
		return "", nil, volume.IgnoreNotExist(err)
	}
	defer dir.Close()
	gfid, err := store.GFIDOf(dir)
	if err != nil {
		return "", nil, volume.IgnoreNotExist(err)
	}
	r, isVolume := found.byInode[store.InodeOf(gfid)]
	if !isVolume {
		return "", nil, nil
	}
	free, err := s.IsFree(r.Path)
	if err != nil || !free {
		return "", nil, err
	}
	return fmt.Sprintf("move it back to %s: it is the directory of volume %s", r.Path, r.ID), func() error {
		if free, err := s.IsFree(r.Path); !free || err != nil {
			return errors.Join(err, fmt.Errorf("something is at %s now: %w", r.Path, volume.ErrForeign))
		}
		return s.Creations.PutBack(f.Dir, f.Name, r.Path)
	}, nil
}

// lookAtPaths holds the claims of paths against volumes and directories.
func (s *Checker) lookAtPaths(_ context.Context, found *inventory) error {
	claims, err := s.Files(owndir.PathsDir)
	if err != nil {
		return err
	}
	for _, claim := range claims {
		settle := func() error {
			_, err := s.Creations.SettleClaim(claim, found.deleted, true)
			return volume.IgnoreNotExist(err)
		}
		at := s.PathOf(claim)
		content, err := owndir.Readlink(claim.Dir, claim.Name)
		if err != nil {
			if volume.IgnoreNotExist(err) == nil || errors.Is(err, unix.EINVAL) {
				continue
			}
			return err
		}
		h, err := volume.ParsePathClaim(content)
		of, _, aside := strings.Cut(claim.Name, store.AsideSuffix)
		switch {
		case err != nil || of != volume.PathClaimName(h.Path):
			found.add(Problem{
				Kind: Unreadable, Subject: at, Why: "this is not the claim of a path",
				Cure: "nothing: look who made it, and remove it",
			})
		case aside:
			found.add(Problem{
				Kind: Leftover, Subject: volume.IDOfStamp(h.Stamp), Path: at, id: volume.IDOfStamp(h.Stamp),
				Why:  "the claim of " + h.Path + " was moved aside",
				Cure: "put it back if its volume is there, else remove it", repair: settle,
			})
		default:
			if err := s.lookAtHeldPath(found, h, settle); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Checker) lookAtHeldPath(found *inventory, h volume.PathClaim, settle func() error) error {
	r, ready := found.volumes[h.Stamp]
	id := volume.IDOfStamp(h.Stamp)
	isReady := ready && (h.Parent || r.Path == h.Path)
	if isReady || found.begun[h.Stamp] || found.deleted[h.Stamp] || isUnreadableVolume(found, id) {
		return nil
	}
	free, err := s.IsFree(h.Path)
	if err != nil {
		return err
	}
	p := Problem{Subject: id, Path: h.Path, id: id, repair: settle}
	switch {
	case h.Parent && !free:
		return nil // it is of all volumes below it
	case free:
		p.Kind, p.Why, p.Cure = StaleClaim, "nothing is left of what the path is claimed for", "give up the claim"
	default:
		p.Kind, p.Why = NoVolume, "the path is claimed for a volume that is not there"
		p.Cure = "give up the claim; the directory stays, and is nobody's"
	}
	if ready || !free { // SettleClaim goes by the volume alone, and keeps the claim of what holds data
		p.repair = func() error { return s.ReleasePath(h.Path, func(held volume.PathClaim) bool { return held == h }) }
	}
	found.add(p)
	return nil
}

// lookAtAside finds directories that an undoing has moved aside and nobody goes on with.
func (s *Checker) lookAtAside(_ context.Context, found *inventory) error {
	files, err := s.Files(owndir.CreatingDir)
	if err != nil {
		return err
	}
	for _, f := range files {
		stamp, isDir := strings.CutSuffix(f.Name, store.DirSuffix)
		if !isDir || found.begun[stamp] {
			continue
		}
		p := Problem{
			Kind: Leftover, Subject: volume.IDOfStamp(stamp), Path: s.PathOf(f), id: volume.IDOfStamp(stamp), Why: "a directory that was moved aside",
			Cure: "remove it if it is empty", repair: func() error { return emptyOrKept(f.Dir.Rmdir(f.Name)) },
		}
		if err := s.addStray(found, f, p); err != nil {
			return err
		}
	}
	return nil
}

// addStray adds the problem of a directory that nobody goes on with, unless it is another name of one that somebody has.
// Where it is known whose it is, the cure is another one.
func (s *Checker) addStray(found *inventory, f owndir.File, p Problem) error {
	if second, err := isSecondName(found, f); second || err != nil {
		return err
	}
	cure, repair, err := s.cureStray(found, f)
	if cure != "" {
		p.Cure, p.repair = cure, repair
	}
	if err == nil {
		found.add(p)
	}
	return err
}

func emptyOrKept(err error) error {
	if errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("it is not empty, and stays: %w: look whose it is", volume.ErrForeign)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
