// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ages"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// lookAtCopies holds the records of snapshots and of clones against what was copied, both ways.
func (s *Checker) lookAtCopies(ctx context.Context, found *inventory) error {
	givenUp, others, err := copying.GivenUp(s.Store)
	if err != nil {
		return err
	}
	for _, kind := range []volume.CopyKind{volume.Snapshots, volume.Clones} {
		copies := copying.New(s.Store, kind)
		ids, err := copies.IDs()
		if err != nil {
			return err
		}
		if err := permits.Each(ctx, s.Permit, ids, func(id string) error { return s.lookAtCopy(found, copies, id) }); err != nil {
			return err
		}
		if err := s.lookAtStrays(ctx, found, copies, givenUp); err != nil {
			return err
		}
	}
	s.lookAtGivenUp(ctx, found, givenUp)
	for _, f := range others {
		found.add(Problem{
			Kind: Leftover, Subject: f.Name, Path: s.PathOf(f),
			Why: "the driver makes nothing of that name there", Cure: "nothing: look who made it, and move it away",
		})
	}
	return nil
}

// lookAtCopy looks for what a record says that there is.
func (s *Checker) lookAtCopy(found *inventory, copies *copying.Copies, id string) error {
	st, err := copies.Find(id)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		return nil // given up meanwhile
	case volume.IsUnreadable(err):
		found.add(unreadableProblem(id, volume.OwnDir+"/"+string(copies.Kind), err))
		return nil
	case err != nil || st.Result == nil:
		return err // else it is gone on with
	}
	isMissing := func() (bool, error) {
		tree, err := copies.OpenTree(st)
		if err == nil {
			tree.Close()
		}
		return errors.Is(err, fs.ErrNotExist), volume.IgnoreNotExist(err)
	}
	if missing, err := isMissing(); err != nil || !missing {
		return err
	}
	at, err := copies.Place(st)
	if err != nil {
		return err
	}
	p := Problem{Kind: CopyNoData, Subject: id, Path: at, id: lockOf(copies, id), Why: "what was copied is gone"}
	if copies.Kind == volume.Snapshots {
		p.Cure = "nothing: what was in it is lost: delete it, by `glusterfs-csi snapshot delete` if Kubernetes does not know it"
	} else {
		p.Cure = "give it up: the volume is copied anew when it is asked for"
		p.repair = func() error {
			if missing, err := isMissing(); err != nil || !missing {
				return errors.Join(err, fmt.Errorf("what was copied is there now: %w", volume.ErrBusy))
			}
			return copies.GiveUp(st)
		}
	}
	found.add(p)
	return nil
}

// lockOf is what is locked by whoever changes a copy: see package manager.
func lockOf(copies *copying.Copies, id string) string {
	if copies.Kind == volume.Clones {
		return id // the volume's
	}
	return string(copies.Kind) + "/" + id
}

// lookAtStrays finds what was copied and has no record.
func (s *Checker) lookAtStrays(ctx context.Context, found *inventory, copies *copying.Copies, givenUp map[string]*safepath.Dir) error {
	strays, err := copies.Strays(ctx)
	if err != nil && !volume.IsUnreadable(err) { // found by lookAtCopy
		return err
	}
	for _, x := range strays {
		if givenUp[string(copies.Kind)+"."+x.Stamp] != nil || !s.isOld(copies.Sightings(), x.Stamp) {
			continue // who gives it up, or copies, may go on
		}
		id := volume.IDOfStamp(x.Stamp)
		p := Problem{Kind: CopyNoRecord, Subject: id, Path: copies.Path(x), id: lockOf(copies, id)}
		if x.Complete {
			p.Why = "no record tells of this copy, which was complete"
			p.Cure = "nothing: if it is dear, copy it elsewhere: a controller gives it up an hour after it has seen it"
		} else {
			p.Why = "no record tells of this copy, which is half made"
			p.Cure = "give it up, as a controller does an hour after it has seen it"
			p.repair = func() error { return copies.GiveUpStray(x) }
		}
		found.add(p)
	}
	return nil
}

// isOld says whether what was begun at the time in a stamp is nobody's any more: by this process's own sightings, or
// by a clock that is right.
func (s *Checker) isOld(of *ages.Sightings, stamp string) bool {
	_, begun, isStamp := volume.ParseStamp(stamp)
	isAbandoned := s.IsAbandoned(of, stamp)
	return isAbandoned || isStamp && s.IsClockRight() && volume.Now().Sub(begun) > s.Abandoned
}

// lookAtGivenUp finds what was given up more than an hour ago and is still there.
func (s *Checker) lookAtGivenUp(ctx context.Context, found *inventory, givenUp map[string]*safepath.Dir) {
	there := map[string]bool{}
	for name := range givenUp {
		there[name] = true
	}
	s.Memory.GivenUp.Keep(there)
	for name, dir := range givenUp {
		if !s.isGivenUpLong(name, dir) {
			continue
		}
		p := Problem{Kind: CopyNotRemoved, Subject: name, Path: s.PathOf(owndir.File{Dir: dir, Name: name}), id: name}
		if err := copying.MayRemove(s.Store, name, dir); err != nil {
			p.Why, p.Cure = "it was given up, and may not be removed: "+err.Error(), "nothing: see what keeps it from that"
		} else {
			p.Why = "it was given up more than an hour ago, and is still there: a controller removes 50,000 files a minute"
			p.Cure = "remove it"
			p.repair = func() error {
				for {
					removed, err := copying.Remove(ctx, s.Store, map[string]*safepath.Dir{name: dir})
					if removed > 0 || err != nil || ctx.Err() != nil {
						return errors.Join(err, ctx.Err())
					}
				}
			}
		}
		found.add(p)
	}
}

// isGivenUpLong goes by when the claim was moved, or the directory where there is none.
func (s *Checker) isGivenUpLong(name string, dir *safepath.Dir) bool {
	isAbandoned := s.IsAbandoned(&s.Memory.GivenUp, name)
	st, err := dir.StatEntry(name + store.RecordSuffix)
	if err != nil {
		st, err = dir.StatEntry(name)
	}
	if err != nil {
		return false // it is gone
	}
	return isAbandoned || s.IsClockRight() && time.Since(time.Unix(st.Ctim.Unix())) > s.Abandoned
}
