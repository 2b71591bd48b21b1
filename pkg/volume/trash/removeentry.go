// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"context"
	"errors"
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// reaping is told of how far it has come.
type reaping struct {
	begun   func() // once the entry cannot be restored any more
	removed func() // after each file and directory, by several goroutines
}

// reap removes one entry: its directory must be the one of the record once more, and the entry is out of
// Restore's reach before the first file goes. ErrBusy if another process has it.
func (s *Trash) reap(ctx context.Context, e store.TrashEntry, told reaping) error {
	if err := e.Record.CheckWritable(); err != nil {
		return err
	}
	switch {
	case e.Suffix == store.BackSuffix || e.Held() || s.MayStillMove(e):
		return fmt.Errorf("trash entry %s is just being deleted or restored: %w", e.Name, volume.ErrBusy)
	case e.Suffix == store.RecordSuffix:
		if err := s.CompleteDeletion(e); err != nil {
			return err
		}
		if err := s.mayRemove(e); err != nil {
			return err
		}
		if err := s.advance(&e, store.DoomedSuffix); err != nil {
			return err
		}
	}
	told.begun()
	s.Step(stepDoomed)
	// What has lost files must not be restorable again because a server forgot this.
	if err := s.Commit(); err != nil {
		return err
	}
	if err := s.mayRemove(e); err != nil {
		return err
	}
	if err := s.removeData(ctx, e, told.removed); err != nil {
		return err
	}
	s.Step(stepRemoved)
	if err := s.forget(e); err != nil {
		return err
	}
	s.Step(stepReaped)
	return nil
}

// removeData removes the directory of an entry. A brick that has forgotten what was removed before has files that no
// list of another brick's names, and GlusterFS says of a directory that is removed on one brick alone that it is. It
// brings it back when it is asked for by name: TestAPurgeThatABrickForgotLeavesNothing.
func (s *Trash) removeData(ctx context.Context, e store.TrashEntry, removed func()) error {
	own, err := s.KeepOut(ctx, false)
	if err != nil {
		return err
	}
	const attempts = 10
	for range attempts {
		if err := tree.Remove(ctx, e.Dir, e.Base, own, s.Permit, func() { s.Step(stepRemoving); removed() }); err != nil {
			return err
		}
		if absent, err := owndir.IsMissing(e.Dir, e.Base); absent || err != nil {
			return err
		}
	}
	return fmt.Errorf("the data of trash entry %s on %s comes back again and again: %w: see `gluster volume heal %s info`",
		e.Name, s.Volume, volume.ErrBusy, s.Volume.Name)
}

// forget removes what is known of an entry whose data is gone. What is known of a volume that is there stays.
func (s *Trash) forget(e store.TrashEntry) error {
	ready, err := s.IsReady(e.Record)
	if err == nil && !ready {
		err = errors.Join(s.ForgetGFID(e.Record), s.ForgetAttributes(e.Record))
	}
	if err == nil {
		err = volume.IgnoreNotExist(e.Dir.Unlink(e.Base + e.Suffix))
	}
	return err
}
