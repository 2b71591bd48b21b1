// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/snapshot"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/splitbrain"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Reconcile finishes what this process has seen interrupted for an hour, and nobody
// has repeated: volumes half made are taken back, volumes half deleted go into the trash, and
// half restored ones come back. What it cannot mend is in the error. It works on a volume only
// while lock has it: one that is in use is left for the next time.
func (s *Volumes) Reconcile(ctx context.Context, lock func(id string) (unlock func(), free bool)) error {
	var errs []error
	alone := func(id string, finish func() error) {
		if ctx.Err() != nil {
			return
		}
		unlock, free := lock(id)
		if !free {
			return
		}
		defer unlock()
		if err := finish(); err != nil {
			errs = append(errs, s.Explain(fmt.Errorf("volume %s on %s: %w", id, s.Volume, err)))
		}
	}
	errs = append(errs, s.Spread(ctx, alone))
	errs = append(errs, s.SettleNames(alone), s.SettleMakings())
	begun, err := s.allBegun(ctx)
	errs = append(errs, s.Explain(err))
	for _, b := range begun {
		if s.IsAbandoned(&s.Memory.Creations, b.Key()) {
			alone(b.ID, func() error { return s.Creations.Undo(b) })
		}
	}
	entries, err := s.Entries("")
	errs = append(errs, err)
	s.Trash.SettleRepeated(entries, alone)
	deleted := map[string]bool{}
	for _, e := range entries {
		deleted[e.Record.Stamp()] = true
		if e.Suffix == store.RecordSuffix && s.IsAbandoned(&s.Memory.Trash, e.Name) ||
			e.Suffix == store.BackSuffix && s.IsAbandoned(&s.Memory.Trash, e.Name+store.BackSuffix) {
			alone(e.Record.ID, func() error { return s.finishEntry(e) })
		}
	}
	claimed, err := s.Creations.SettlePaths(deleted)
	errs = append(errs, s.Explain(err), s.lookAtVolumes(ctx, deleted, claimed, alone), s.SettleAttributes(alone),
		s.Explain(s.settleClones(ctx, alone)), snapshot.New(s.Store).Settle(ctx), splitbrain.RemoveStrays(s.Store), s.SettleReports(), s.SettleClaims()) // of what all have listed
	return errors.Join(append(errs, ctx.Err())...)
}

// finishEntry finishes what an entry's record says was begun with it.
func (s *Volumes) finishEntry(e store.TrashEntry) error {
	if err := s.SettleSuffix(&e); err != nil {
		return err
	}
	switch e.Suffix {
	case store.RecordSuffix:
		return s.Trash.CompleteDeletion(e)
	case store.BackSuffix:
		return s.Trash.CompleteRestoration(&e)
	}
	return nil
}

// allBegun lists the creations that have not come to their end, of all volumes.
func (s *Volumes) allBegun(ctx context.Context) ([]creation.HalfMade, error) {
	all, err := s.Creations.HalfMadeOf("")
	if err != nil {
		return nil, err
	}
	err = s.ForEachPage(ctx, func(p store.Page) {
		for _, f := range p.Begun {
			all = append(all, creation.HalfMadeVolume(f))
		}
	})
	there := map[string]bool{}
	for _, b := range all {
		there[b.Key()] = true
	}
	s.Memory.Creations.Keep(there)
	return all, err
}

// lookAtVolumes gives every volume of schema 1 a gfid, before the Gluster volume gets bricks that do not have its mark,
// and has those claim their path again that have lost the claim. claimed are the names of all claims. Where another has
// the path, or the directory is not there, that is for Check to say; what is in the trash, too, is settled first. A claim
// that is not to be seen may be on a brick that is away, or be healed in a moment: so it is missed for an hour first.
func (s *Volumes) lookAtVolumes(ctx context.Context, deleted, claimed map[string]bool, alone func(id string, do func() error)) error {
	claimless := map[string]bool{}
	err := s.ForEach(ctx, func(r volume.Record) error {
		if r.Schema == 1 {
			alone(r.ID, func() error { return volume.IgnoreNotExist(s.CheckInPlace(r)) })
		}
		if claimed[volume.PathClaimName(r.Path)] || deleted[r.Stamp()] {
			return nil
		}
		claimless[r.Stamp()] = true
		if !s.IsAbandoned(&s.Memory.Claimless, r.Stamp()) {
			return nil
		}
		alone(r.ID, func() error {
			err := s.Creations.ClaimAgain(r)
			if errors.Is(err, volume.ErrForeign) || errors.Is(err, volume.ErrNewer) {
				err = nil
			}
			return volume.IgnoreExist(volume.IgnoreNotExist(err))
		})
		return nil
	})
	if err == nil { // else not all were seen
		s.Memory.Claimless.Keep(claimless)
	}
	return err
}
