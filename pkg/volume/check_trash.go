// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// lookAtEntries reads the records in the trash, and finds the data that has none.
func (s *Store) lookAtEntries(ctx context.Context, found *inventory) error {
	all, err := s.files(trashDir)
	if err != nil {
		return err
	}
	var entries []TrashEntry
	moved, recorded := map[string]file{}, map[string]bool{}
	for _, f := range all {
		e, ok := parseEntry(f)
		switch {
		case !ok: // nothing of the driver's
		case e.suffix == "":
			moved[e.Name] = f
		default:
			entries = append(entries, e)
			recorded[e.Name] = true
		}
	}
	for name, f := range moved {
		if !recorded[name] {
			found.strays = append(found.strays, f)
		}
	}
	return each(ctx, s.permit, entries, func(e TrashEntry) error {
		_, e.moved = moved[e.Name]
		r, err := readRecord(e.dir, e.Name+e.suffix)
		switch {
		case err != nil && ignoreNotExist(err) == nil:
			return nil
		case isUnreadable(err):
			found.add(unreadable(e.Name, s.pathOf(file{e.dir, e.Name + e.suffix}), err))
			return nil
		case err != nil:
			return err
		}
		e.Record = r
		found.mu.Lock()
		defer found.mu.Unlock()
		found.entries = append(found.entries, e)
		found.deleted[r.stamp()] = true
		return nil
	})
}

// lookAtData holds the data in the trash against its records.
func (s *Store) lookAtData(ctx context.Context, found *inventory) error {
	for _, f := range found.strays {
		if second, err := isSecondName(found, f); second || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		cure, repair, err := s.cureStray(found, f)
		if err != nil {
			return err
		}
		if cure == "" {
			cure = "nothing: look whose it is, and move it out of the trash or remove it by hand"
		}
		found.add(Problem{
			Kind: TrashNoRecord, Subject: f.name, Path: s.pathOf(f), id: stampedID(f.name),
			Why: "no record tells of this data", Cure: cure, repair: repair,
		})
	}
	return each(ctx, s.permit, found.entries, func(e TrashEntry) error {
		if _, restored := found.volumes[e.Record.stamp()]; restored || e.suffix == doomedSuffix || e.suffix == backSuffix {
			return nil // on its way, or nothing but a record
		}
		// A list is what one brick says: see names.go.
		if absent, err := missing(e.dir, e.Name); err != nil || absent {
			return errors.Join(err, s.lookAtMissingData(found, e))
		}
		return s.lookAtEntryData(found, e)
	})
}

func (s *Store) lookAtEntryData(found *inventory, e TrashEntry) error {
	data, err := e.dir.Open(e.Name)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer data.Close()
	own, err := s.isKnownAs(data, e.Record)
	if err == nil && own {
		var gfid string
		if gfid, err = gfidOf(data); err == nil {
			err = s.lookAtNames(found, data, gfid, e.Record)
		}
	}
	if err != nil || own {
		return ignoreNotExist(err)
	}
	cure, repair, err := s.cureStray(found, file{e.dir, e.Name})
	if cure == "" {
		cure = "nothing: look whose it is, and move it out of the trash; the entry's own data is not there"
	}
	found.add(Problem{Kind: TrashOtherData, Subject: e.Name, Path: e.Record.Path, id: e.Record.ID,
		Why: "the directory in the trash is not the one of the record", Cure: cure, repair: repair})
	return err
}

// lookAtMissingData looks for the data of an entry where the volume was.
func (s *Store) lookAtMissingData(found *inventory, e TrashEntry) error {
	p := Problem{Kind: TrashNoData, Subject: e.Name, Path: e.Record.Path, id: e.Record.ID,
		Why: "its data is gone", Cure: "nothing: the entry is forgotten when it is due, or by `trash purge`"}
	dir, err := s.root.Open(e.Record.Path)
	if err == nil {
		var own bool
		own, err = s.isKnownAs(dir, e.Record)
		dir.Close()
		if own {
			p.Kind, p.Why = TrashHalfDeleted, "its deletion was interrupted, and its data is still in its place"
			p.Cure, p.repair = "move the data into the trash", func() error { return s.follow(e) }
		}
	}
	if notThere(err) || err != nil && ignoreNotExist(err) == nil {
		err = nil
	}
	if err != nil {
		return err
	}
	if !s.isAbandoned(&s.memory.trash, e.Name) && (!s.isClockRight() || now().Sub(e.Deleted) <= s.abandoned) {
		return nil // its deletion may go on
	}
	found.add(p)
	return nil
}

// cureStray says what becomes of a directory of the driver's own that is not where it belongs: the directory of a
// volume that is there goes back to its place, if that is free. Every other stays: then there is no cure.
func (s *Store) cureStray(found *inventory, f file) (cure string, repair func() error, err error) {
	dir, err := f.dir.Open(f.name)
	if err != nil {
		return "", nil, ignoreNotExist(err)
	}
	defer dir.Close()
	gfid, err := gfidOf(dir)
	if err != nil {
		return "", nil, ignoreNotExist(err)
	}
	r, isVolume := found.byInode[inodeOf(gfid)]
	if !isVolume {
		return "", nil, nil
	}
	free, err := s.isFree(r.Path)
	if err != nil || !free {
		return "", nil, err
	}
	return fmt.Sprintf("move it back to %s: it is the directory of volume %s", r.Path, r.ID), func() error {
		if free, err := s.isFree(r.Path); !free || err != nil {
			return errors.Join(err, fmt.Errorf("something is at %s now: %w", r.Path, ErrForeign))
		}
		return s.putBack(f.dir, f.name, r.Path)
	}, nil
}

// lookAtPaths holds the claims of paths against volumes and directories.
func (s *Store) lookAtPaths(_ context.Context, found *inventory) error {
	claims, err := s.files(pathsDir)
	if err != nil {
		return err
	}
	for _, claim := range claims {
		settle := func() error {
			_, err := s.settleClaim(claim, found.deleted, true)
			return ignoreNotExist(err)
		}
		at := s.pathOf(claim)
		content, err := readlink(claim.dir, claim.name)
		if err != nil {
			if ignoreNotExist(err) == nil || errors.Is(err, unix.EINVAL) {
				continue
			}
			return err
		}
		h, err := parseHolder(content)
		of, _, aside := strings.Cut(claim.name, asideSuffix)
		switch {
		case err != nil || of != pathName(h.path):
			found.add(Problem{
				Kind: Unreadable, Subject: at, Why: "this is not the claim of a path",
				Cure: "nothing: look who made it, and remove it",
			})
		case aside:
			found.add(Problem{
				Kind: Leftover, Subject: stampedID(h.stamp), Path: at, id: stampedID(h.stamp),
				Why:  "the claim of " + h.path + " was moved aside",
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

func (s *Store) lookAtHeldPath(found *inventory, h holder, settle func() error) error {
	r, ready := found.volumes[h.stamp]
	id := stampedID(h.stamp)
	isReady := ready && (h.parent || r.Path == h.path)
	if isReady || found.begun[h.stamp] || found.deleted[h.stamp] || isUnreadableVolume(found, id) {
		return nil
	}
	free, err := s.isFree(h.path)
	if err != nil {
		return err
	}
	p := Problem{Subject: id, Path: h.path, id: id, repair: settle}
	switch {
	case h.parent && !free:
		return nil // it is of all volumes below it
	case free:
		p.Kind, p.Why, p.Cure = StaleClaim, "nothing is left of what the path is claimed for", "give up the claim"
	default:
		p.Kind, p.Why = NoVolume, "the path is claimed for a volume that is not there"
		p.Cure = "give up the claim; the directory stays, and is nobody's"
	}
	if ready || !free { // settleClaim goes by the volume alone, and keeps the claim of what holds data
		p.repair = func() error { return s.releasePath(h.path, func(held holder) bool { return held == h }) }
	}
	found.add(p)
	return nil
}

// lookAtAside finds directories that an undoing has moved aside and nobody goes on with.
func (s *Store) lookAtAside(_ context.Context, found *inventory) error {
	files, err := s.files(creatingDir)
	if err != nil {
		return err
	}
	for _, f := range files {
		stamp, isDir := strings.CutSuffix(f.name, dirSuffix)
		if !isDir || found.begun[stamp] {
			continue
		}
		if second, err := isSecondName(found, f); second || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		cure, repair, err := s.cureStray(found, f)
		if err != nil {
			return err
		}
		if cure == "" {
			cure = "remove it if it is empty"
			repair = func() error { return emptyOrKept(f.dir.Rmdir(f.name)) }
		}
		found.add(Problem{
			Kind: Leftover, Subject: stampedID(stamp), Path: s.pathOf(f), id: stampedID(stamp),
			Why: "a directory that was moved aside", Cure: cure, repair: repair,
		})
	}
	return nil
}

func emptyOrKept(err error) error {
	if errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("it is not empty, and stays: %w: look whose it is", ErrForeign)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
