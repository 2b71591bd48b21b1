// SPDX-License-Identifier: Apache-2.0

// Package check holds records against directories, both ways, and repairs what can be repaired without removing data of
// a volume, or of a snapshot that was complete and was not deleted. It changes nothing while it looks. What it finds is said as a problem with its cause and its cure.
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// Kind is what is wrong, in a word: of the command's output and of the metric's label.
type Kind string

// The kinds. Records and directories are held against each other both ways.
const (
	NoDirectory      Kind = "no-directory"     // a volume whose directory is gone
	OtherDirectory   Kind = "other-directory"  // a volume in whose place is something else
	TwoNames         Kind = "two-names"        // a directory that has one name on one brick and another on the next
	LostIdentity     Kind = "lost-identity"    // a volume of the first version that has neither mark nor recorded gfid
	NotClaimed       Kind = "path-not-claimed" // a volume that does not hold its path
	SharedPath       Kind = "shared-path"      // two volumes that have one path
	TwoVolumes       Kind = "two-volumes"      // one CSI name that has a volume on two Gluster volumes
	Unreadable       Kind = "unreadable"       // a record or a path claim that cannot be read as one
	HalfMade         Kind = "half-made"        // a creation that was interrupted
	NoVolume         Kind = "no-volume"        // a directory whose path is claimed for a volume that is not there
	StaleClaim       Kind = "stale-claim"      // a path claim of which nothing is left
	StaleAttributes  Kind = "stale-attributes" // what was changed of a volume of which nothing is left
	Leftover         Kind = "leftover"         // a path claim or a directory that was moved aside, and neither removed nor put back
	TrashNoData      Kind = "trash-no-data"    // a trash entry whose data is gone
	TrashNoRecord    Kind = "trash-no-record"  // data in the trash that no record tells of
	TrashOtherData   Kind = "trash-other-data" // a trash entry that has another volume's directory
	TrashHalfDeleted Kind = "trash-half-moved" // a deleted volume whose data is still in its place
	CopyNoData       Kind = "copy-no-data"     // a snapshot that was complete, or the copy for a volume, that is gone
	CopyNoRecord     Kind = "copy-no-record"   // a copy that no record tells of
	CopyNotRemoved   Kind = "copy-not-removed" // a copy that was given up more than an hour ago
)

// Kinds are all kinds.
var Kinds = []Kind{
	NoDirectory, OtherDirectory, TwoNames, LostIdentity, NotClaimed, SharedPath, TwoVolumes, Unreadable, HalfMade, NoVolume,
	StaleClaim, StaleAttributes, Leftover, TrashNoData, TrashNoRecord, TrashOtherData, TrashHalfDeleted,
	CopyNoData, CopyNoRecord, CopyNotRemoved,
}

// Problem is something that Check has found.
type Problem struct {
	Kind Kind
	// Subject is a volume's ID, a trash entry's name, or a file below the driver's own directory.
	Subject string
	Path    string // on the Gluster volume
	Why     string // in a sentence
	Cure    string // what Repair does, or what is left to a person
	id      string // of the volume that is locked for the repair
	repair  func() error
}

// Repairable says whether Repair does anything.
func (p Problem) Repairable() bool { return p.repair != nil }

func (p Problem) key() string { return string(p.Kind) + " " + p.Subject + " " + p.Path }

// Checker looks at one Gluster volume.
type Checker struct {
	*store.Store

	Creations *creation.Creations
	Trash     *trash.Trash
}

// New returns the checker of the Gluster volume that the trash is of.
func New(of *trash.Trash) *Checker {
	return &Checker{Store: of.Store, Creations: of.Creations, Trash: of}
}

// Check holds records against directories, both ways. It changes nothing. As volumes are made and deleted while it
// reads, what is found is looked for once more after a while, and is a problem if it is found again.
func (s *Checker) Check(ctx context.Context) ([]Problem, error) {
	first, err := s.pass(ctx)
	if len(first) == 0 {
		return nil, err
	}
	s.Permit.Without(func() {
		select {
		case <-time.After(s.Recent):
		case <-ctx.Done():
		}
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	again, err := s.pass(ctx)
	found := map[string]bool{}
	for _, p := range first {
		found[p.key()] = true
	}
	again = slices.DeleteFunc(again, func(p Problem) bool { return !found[p.key()] })
	slices.SortFunc(again, func(a, b Problem) int { return cmp.Compare(a.key(), b.key()) })
	return again, err
}

// Repair does what p.Cure says, while nobody else of this process works on the volume: false where somebody does.
// It removes no data of a volume, nor of a snapshot that was complete and was not deleted.
func (s *Checker) Repair(p Problem, lock func(id string) (unlock func(), free bool)) (bool, error) {
	unlock, free := lock(p.id)
	if !free || p.repair == nil {
		if free {
			unlock()
		}
		return false, nil
	}
	defer unlock()
	if err := p.repair(); err != nil {
		return false, s.Explain(fmt.Errorf("repair %s of %s on %s: %w", p.Kind, p.Subject, s.Volume, err))
	}
	return true, nil
}

// inventory is what one pass of Check has read.
type inventory struct {
	mu       sync.Mutex
	volumes  map[string]volume.Record   // by stamp
	begun    map[string]bool            // stamps (or IDs: see HalfMade.key) of creations that have not come to their end
	entries  []store.TrashEntry         // whose record can be read
	strays   []owndir.File              // data in the trash without a record
	deleted  map[string]bool            // stamps of the volumes of entries
	byPath   map[string][]volume.Record // volumes
	byInode  map[uint64]volume.Record   // volumes, by the inode number of the gfid that is recorded
	twoNames map[uint64]bool            // inode numbers of directories that have them
	problems []Problem
}

func (i *inventory) add(p Problem) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.problems = append(i.problems, p)
}

// pass looks at everything once. What begins is read before what it becomes.
func (s *Checker) pass(ctx context.Context) ([]Problem, error) {
	found := &inventory{
		volumes: map[string]volume.Record{}, begun: map[string]bool{}, deleted: map[string]bool{},
		byPath: map[string][]volume.Record{}, byInode: map[uint64]volume.Record{}, twoNames: map[uint64]bool{},
	}
	for _, read := range []func(context.Context, *inventory) error{
		s.lookAtClaims, s.lookAtEntries, s.readVolumes, // in this order
		s.lookAtVolumes, s.lookAtData, s.lookAtPaths, s.lookAtAside, s.lookAtAttributes, s.lookAtCopies,
	} {
		if err := read(ctx, found); err != nil {
			return found.problems, s.Explain(fmt.Errorf("check %s: %w", s.Volume, err))
		}
		if ctx.Err() != nil {
			return found.problems, ctx.Err()
		}
	}
	return found.problems, nil
}

// lookAtClaims finds creations that nobody goes on with.
func (s *Checker) lookAtClaims(_ context.Context, found *inventory) error {
	all, err := s.Creations.HalfMadeOf("")
	if err != nil {
		return err
	}
	for _, b := range all {
		s.lookAtBegun(found, b)
	}
	return nil
}

func (s *Checker) lookAtBegun(found *inventory, b creation.HalfMade) {
	_, begun, isStamped := volume.ParseStamp(b.Stamp)
	isOld := isStamped && s.IsClockRight() && volume.Now().Sub(begun) > s.Abandoned
	isAbandoned := s.IsAbandoned(&s.Memory.Creations, b.Key())
	found.mu.Lock()
	found.begun[b.Key()] = true
	found.mu.Unlock()
	if !isAbandoned && !isOld {
		return // its maker may go on
	}
	found.add(Problem{
		Kind: HalfMade, Subject: b.ID, Path: s.PathOf(b.File), id: b.ID,
		Why: "its creation was interrupted", Cure: "take it back: an empty directory and its claims go",
		repair: func() error { return s.Creations.Undo(b) },
	})
}

// readVolumes reads the records of what is ready.
func (s *Checker) readVolumes(ctx context.Context, found *inventory) error {
	files, err := s.Files(owndir.VolumesDir)
	if err != nil || len(files)+len(found.entries)+len(found.strays) == 0 {
		return err
	}
	return permits.Each(ctx, s.Permit, s.withDeleted(found, files), func(at owndir.File) error {
		id, ok := strings.CutSuffix(at.Name, store.RecordSuffix)
		if !ok {
			return nil
		}
		f, err := s.Find(id)
		switch {
		case volume.IsUnreadable(err):
			found.add(unreadableProblem(id, s.PathOf(at), err))
			return nil
		case err != nil || f.State == store.Absent:
			return err
		case f.State == store.Begun:
			s.lookAtBegun(found, creation.HalfMadeVolume(f))
			return nil
		}
		r := f.Record
		gfid, err := s.RecordedGFID(r)
		if err != nil {
			return err
		}
		found.mu.Lock()
		defer found.mu.Unlock()
		found.volumes[r.Stamp()] = r
		found.byPath[r.Path] = append(found.byPath[r.Path], r)
		if gfid != "" {
			found.byInode[store.InodeOf(gfid)] = r
		}
		return nil
	})
}

func unreadableProblem(subject, at string, err error) Problem {
	cure := "nothing: see what is in it, and take it from a backup"
	switch {
	case errors.Is(err, volume.ErrNewer):
		cure = "nothing: update this driver"
	case errors.Is(err, volume.ErrSplitBrain), errors.Is(err, unix.EIO):
		cure = "nothing: settle which brick's copy counts, by `gluster volume heal … split-brain` on a server"
	}
	return Problem{Kind: Unreadable, Subject: subject, Path: at, Why: err.Error(), Cure: cure}
}
