// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// A volume that is made from a snapshot, or from another volume, is copied in the driver's own directory first (pkg
// copying). When the copy is complete the volume is made like any other, but that its record is completed with the gfid
// of the copy, whose tree is moved to the volume's path then, where nothing is: as a restoration's (package trash). A
// kill between the two leaves a volume that has its record and not yet its data; whoever comes next, for whatever, moves
// it (placeClone).

// Clones are the copies that are to become volumes.
func (s *Volumes) Clones() *copying.Copies { return copying.New(s.Store, volume.Clones) }

// Origin is what a volume is to be made from.
type Origin struct {
	volume.Source

	Stamp string
	Held  int64 // bytes that it is held to; 0 for none
	Least int64 // bytes that the volume must have
}

// FindClone returns the copy that is to become the volume of a spec, and whether the volume is there already. The copy
// is nil where neither is. ErrIncompatible where it is one of something else.
func (s *Volumes) FindClone(spec volume.Spec) (st *copying.Status, isVolume bool, err error) {
	id := volume.IDFor(spec.Name)
	f, err := s.Find(id)
	if err != nil || f.State == store.Ready {
		return nil, err == nil, err
	}
	found, err := s.Clones().Find(id)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		return nil, false, nil
	case err == nil && (found.Source != *spec.Source || found.Name != spec.Name):
		err = fmt.Errorf("volume %q %w: it is being made from %s, not from %s", spec.Name, volume.ErrIncompatible, found.Source, *spec.Source)
	}
	return &found, false, err
}

// BeginClone writes down the copy that is to become a volume, and returns it, or the one that there is. ErrForeign
// where something is in the volume's place, ErrTooLarge where the volume would be smaller than its source.
func (s *Volumes) BeginClone(spec volume.Spec, from Origin) (*copying.Status, error) {
	capacity := spec.Required
	if capacity == 0 {
		capacity = from.Least
	}
	if capacity < from.Least || spec.Limit > 0 && capacity > spec.Limit {
		return nil, fmt.Errorf("volume %s would have %d bytes at most, and %s needs %d: %w: ask for more",
			volume.IDFor(spec.Name), max(spec.Required, spec.Limit), from.Source, from.Least, volume.ErrTooLarge)
	}
	free, err := s.IsFree(spec.Path)
	if err == nil && !free {
		err = fmt.Errorf("something is at %s on %s, where volume %s is to be: %w: choose another `path` in the StorageClass", spec.Path, s.Volume, volume.IDFor(spec.Name), volume.ErrForeign)
	}
	if err != nil && !volume.IsNotThere(err) {
		return nil, s.Explain(err)
	}
	st, err := s.Clones().Claim(volume.Copy{
		Kind: volume.Clones, ID: volume.IDFor(spec.Name), Name: spec.Name, Created: volume.Now(), Source: from.Source, SourceStamp: from.Stamp, Held: from.Held,
		Capacity: capacity, Enforced: spec.Enforced,
	})
	if err != nil {
		return nil, err
	}
	if st.Source != from.Source {
		return nil, fmt.Errorf("volume %q %w: it is being made from %s, not from %s", spec.Name, volume.ErrIncompatible, st.Source, from.Source)
	}
	return &st, nil
}

// LimitClone holds the tree of a copy to the capacity of the volume that it is to become, if that is to be.
func (s *Volumes) LimitClone(st copying.Status, tree *safepath.Dir) error {
	at, err := s.Clones().Place(st)
	if err != nil {
		return s.Explain(err)
	}
	r := volume.NewRecord(volume.Spec{Name: st.Name, Path: at, Required: st.Capacity, Enforced: st.Enforced})
	if r.GFID, err = store.GFIDOf(tree); err == nil {
		err = s.limit(r)
	}
	return s.Explain(err)
}

// completeClone is Create of a volume whose copy is complete.
func (s *Volumes) completeClone(spec volume.Spec) (volume.Record, error) {
	st, err := s.Clones().Find(volume.IDFor(spec.Name))
	if err == nil && st.Source != *spec.Source {
		err = fmt.Errorf("volume %q %w: it is being made from %s", spec.Name, volume.ErrIncompatible, st.Source)
	}
	if err == nil && st.Result == nil {
		err = volume.ErrBusy
	}
	if errors.Is(err, volume.ErrBusy) || errors.Is(err, volume.ErrNotFound) {
		err = fmt.Errorf("the copy of %s for volume %s on %s is not complete: %w", *spec.Source, volume.IDFor(spec.Name), s.Volume, volume.ErrBusy)
	}
	if err != nil {
		return volume.Record{}, err
	}
	if spec.Required == 0 {
		spec.Required = st.Capacity
	}
	r := s.NewRecord(spec)
	c, err := s.claimBoth(r)
	if c != nil {
		defer c.Close()
	}
	if err == nil {
		err = s.makeOfCopy(c, &r, st)
	}
	if err != nil {
		return volume.Record{}, s.failed(r, c, err)
	}
	return r, s.finishClone(r)
}

// makeOfCopy gives the copy that is to become a volume its owner and its limit, and completes the record.
func (s *Volumes) makeOfCopy(c *creation.RecordClaim, r *volume.Record, st copying.Status) error {
	if err := s.makeWay(*r); err != nil {
		return err
	}
	tree, err := s.Clones().OpenTree(st)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errGivenUp, err)
	}
	if err != nil {
		return err
	}
	defer tree.Close()
	if r.GFID, err = store.GFIDOf(tree); err != nil {
		return err
	}
	if err := s.keepingPlace(c, *r, func(*Volumes) error { return mendOwner(tree, r.Owner, false) }); err != nil {
		return err
	}
	s.Step(stepOwned)
	limited := *r
	if limited.Path, err = s.Clones().Place(st); err != nil {
		return err
	}
	if err := s.limit(limited); err != nil {
		return err
	}
	return s.both((*Volumes).Commit, func(s *Volumes) error {
		err := s.Creations.Complete(c, *r)
		s.Step(stepCompleted)
		return err
	})
}

// makeWay makes the directories on the way to a volume whose path is claimed, and at which nothing is to be.
func (s *Volumes) makeWay(r volume.Record) error {
	return s.RetryRefreshed(r.Path, func() error {
		parent, err := s.Creations.MakeParents(r.Path, r.Stamp())
		if err != nil {
			return err
		}
		defer parent.Close()
		dir, err := parent.Open(path.Base(r.Path))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return volume.NotADirectory(err)
		}
		defer dir.Close()
		return s.wasThere(dir, r)
	})
}

// giveUpClone gives up the copy that is to become a volume.
func (s *Volumes) giveUpClone(id string) error {
	st, err := s.Clones().Find(id)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = s.Clones().GiveUp(st)
	}
	return err
}

// settleClones moves copies into the place of their volume that a kill has left, and gives up those that nobody has
// asked for in the last hour.
func (s *Volumes) settleClones(ctx context.Context, alone func(id string, do func() error)) error {
	ids, err := s.Clones().IDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		alone(id, func() error { return s.settleClone(id) })
	}
	return s.Clones().Settle(ctx)
}

func (s *Volumes) settleClone(id string) error {
	f, err := s.Find(id)
	if err == nil && f.State == store.Ready {
		err = s.placeClone(f.Record)
	}
	if err != nil {
		return err
	}
	st, err := s.Clones().Find(id)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	asked, err := s.Clones().IsAskedFor(st)
	if err == nil && !asked {
		err = s.Clones().GiveUp(st)
	}
	return err
}
