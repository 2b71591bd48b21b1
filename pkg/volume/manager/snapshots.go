// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/jobs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/snapshot"
)

// Snapshot is a snapshot and where it is.
type Snapshot struct {
	ID volume.ID
	copying.Status
}

// snapshotWaits is for how long CreateSnapshot waits for a small one to be complete.
const snapshotWaits = 5 * time.Second

// CreateSnapshot writes down the snapshot of a CSI name, of a volume on any Gluster volume, and begins to copy it to v, with what
// it is made for, which may be nil;
// or it returns the one that there is. It may not be complete then (Result is nil), and goes on by itself, whoever
// dies. Errors: ErrNotFound for the volume, ErrIncompatible for a snapshot of another one, ErrNoSpace where the Gluster
// volume is nearly full: then it goes on when there is room.
func (m *Manager) CreateSnapshot(ctx context.Context, v gluster.Volume, name string, of volume.ID, madeFor *volume.SnapshotMadeFor) (Snapshot, error) {
	key := jobs.CopyKey{Volume: v, Kind: volume.Snapshots, ID: volume.IDFor(name)}
	have, err := m.existing(ctx, key, name, of)
	if errors.Is(err, volume.ErrNotFound) {
		have, err = m.claimSnapshot(ctx, key, name, of, madeFor)
	}
	if err != nil || have.Result != nil {
		return have, err
	}
	waiting, cancel := context.WithTimeout(ctx, snapshotWaits)
	defer cancel()
	job := m.startCopy(ctx, key)
	if err := job.Wait(waiting, have.ID.String()); err != nil {
		if errors.Is(err, volume.ErrBusy) {
			err = nil // it is under way, here or by another process
		}
		return have, err
	}
	return m.GetSnapshot(ctx, have.ID)
}

// existing returns the snapshot that there is; what it says of itself is on disk.
func (m *Manager) existing(ctx context.Context, key jobs.CopyKey, name string, of volume.ID) (Snapshot, error) {
	return one(ctx, m, key.Volume, key.Lock(), func(s *lifecycle.Volumes) (Snapshot, error) {
		st, err := snapshot.New(s.Store).Find(key.ID)
		if err == nil {
			err = snapshot.Check(st, name, of.String())
		}
		if err == nil {
			err = s.Explain(s.Commit())
		}
		return Snapshot{volume.ID{Volume: key.Volume, ID: key.ID}, st}, err
	})
}

func (m *Manager) claimSnapshot(ctx context.Context, key jobs.CopyKey, name string, of volume.ID, madeFor *volume.SnapshotMadeFor) (Snapshot, error) {
	r, err := m.Get(ctx, of)
	if err != nil {
		return Snapshot{}, err
	}
	from := snapshot.Of{ID: of.String(), Stamp: r.Stamp(), MadeFor: madeFor}
	if r.Enforced {
		from.Held = r.Capacity
	}
	return changing(ctx, m, key.Volume, key.Lock(), func(s *lifecycle.Volumes) (Snapshot, error) {
		snapshots := snapshot.New(s.Store)
		if err := snapshots.Room(); err != nil {
			return Snapshot{}, err
		}
		st, err := snapshots.Claim(name, from)
		return Snapshot{volume.ID{Volume: key.Volume, ID: key.ID}, st}, err
	})
}

// DeleteSnapshot is Snapshots.Delete. A run that copies it ends first.
func (m *Manager) DeleteSnapshot(ctx context.Context, id volume.ID) error {
	key := jobs.CopyKey{Volume: id.Volume, Kind: volume.Snapshots, ID: id.ID}
	if err := m.copies.Stop(ctx, key); err != nil {
		return err
	}
	return m.change(ctx, id.Volume, key.Lock(), func(s *lifecycle.Volumes) error { return snapshot.New(s.Store).Delete(id.ID) })
}

// GetSnapshot returns one snapshot; ErrNotFound.
func (m *Manager) GetSnapshot(ctx context.Context, id volume.ID) (Snapshot, error) {
	return one(ctx, m, id.Volume, "", func(s *lifecycle.Volumes) (Snapshot, error) {
		st, err := snapshot.New(s.Store).Find(id.ID)
		return Snapshot{id, st}, err
	})
}

// ListSnapshots returns at most limit snapshots on all Gluster volumes whose IDs sort after the given one ("" for the
// first page), in order, and the ID to go on after, "" at the end; of one volume, if of is not "".
func (m *Manager) ListSnapshots(ctx context.Context, of, after string, limit int) (found []Snapshot, next string, err error) {
	return pageOfAll(m, after, limit, func(s Snapshot) volume.ID { return s.ID }, func(v gluster.Volume, start string, most int) ([]Snapshot, error) {
		all, err := m.snapshotsOn(ctx, v, of, start, most)
		if err != nil {
			err = fmt.Errorf("list the snapshots on %s: %w", v, err)
		}
		return all, err
	})
}

// SnapshotsOn returns all snapshots on one Gluster volume, in the order of their IDs.
func (m *Manager) SnapshotsOn(ctx context.Context, v gluster.Volume) ([]Snapshot, error) {
	return m.snapshotsOn(ctx, v, "", "", 0)
}

func (m *Manager) snapshotsOn(ctx context.Context, v gluster.Volume, of, start string, most int) (found []Snapshot, err error) {
	all, err := one(ctx, m, v, "", func(s *lifecycle.Volumes) ([]copying.Status, error) {
		return snapshot.New(s.Store).List(ctx, of, start, most)
	})
	for _, st := range all {
		found = append(found, Snapshot{volume.ID{Volume: v, ID: st.ID}, st})
	}
	return found, err
}

// VerifySnapshot is Snapshots.Verify. It takes as long as a walk through all of it.
func (m *Manager) VerifySnapshot(ctx context.Context, id volume.ID, content bool) (copies.Report, error) {
	return one(ctx, m, id.Volume, "", func(s *lifecycle.Volumes) (copies.Report, error) {
		return snapshot.New(s.Store).Verify(ctx, id.ID, content)
	})
}

// SnapshotAlone is Snapshots.Alone. It takes as long as a walk through all of it.
func (m *Manager) SnapshotAlone(ctx context.Context, id volume.ID) (int64, error) {
	return one(ctx, m, id.Volume, "", func(s *lifecycle.Volumes) (int64, error) {
		return snapshot.New(s.Store).Alone(ctx, id.ID)
	})
}
