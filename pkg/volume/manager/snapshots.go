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

// CreateSnapshot writes down the snapshot of a CSI name, of a volume on any Gluster volume, and begins to copy it to v;
// or it returns the one that there is. It may not be complete then (Result is nil), and goes on by itself, whoever
// dies. Errors: ErrNotFound for the volume, ErrIncompatible for a snapshot of another one, ErrNoSpace where the Gluster
// volume is nearly full: then it goes on when there is room.
func (m *Manager) CreateSnapshot(ctx context.Context, v gluster.Volume, name string, of volume.ID) (Snapshot, error) {
	key := copyKey{v, volume.Snapshots, volume.IDFor(name)}
	have, err := m.existing(ctx, key, name, of)
	if errors.Is(err, volume.ErrNotFound) {
		have, err = m.claimSnapshot(ctx, key, name, of)
	}
	if err != nil || have.Result != nil {
		return have, err
	}
	waiting, cancel := context.WithTimeout(ctx, snapshotWaits)
	defer cancel()
	job := m.startCopy(ctx, key)
	if err := job.wait(waiting, have.ID.String()); err != nil {
		if errors.Is(err, volume.ErrBusy) {
			err = nil // it is under way, here or by another process
		}
		return have, err
	}
	return m.GetSnapshot(ctx, have.ID)
}

// existing returns the snapshot that there is; what it says of itself is on disk.
func (m *Manager) existing(ctx context.Context, key copyKey, name string, of volume.ID) (Snapshot, error) {
	return one(ctx, m, key.volume, key.lock(), func(s *lifecycle.Volumes) (Snapshot, error) {
		st, err := snapshot.New(s.Store).Find(key.id)
		if err == nil {
			err = snapshot.Check(st, name, of.String())
		}
		if err == nil {
			err = s.Explain(s.Commit())
		}
		return Snapshot{volume.ID{Volume: key.volume, ID: key.id}, st}, err
	})
}

func (m *Manager) claimSnapshot(ctx context.Context, key copyKey, name string, of volume.ID) (Snapshot, error) {
	r, err := m.Get(ctx, of)
	if err != nil {
		return Snapshot{}, err
	}
	from := snapshot.Of{ID: of.String(), Stamp: r.Stamp()}
	if r.Enforced {
		from.Held = r.Capacity
	}
	return changing(ctx, m, key.volume, key.lock(), func(s *lifecycle.Volumes) (Snapshot, error) {
		snapshots := snapshot.New(s.Store)
		if err := snapshots.Room(); err != nil {
			return Snapshot{}, err
		}
		st, err := snapshots.Claim(name, from)
		return Snapshot{volume.ID{Volume: key.volume, ID: key.id}, st}, err
	})
}

// DeleteSnapshot is Snapshots.Delete. A run that copies it ends first.
func (m *Manager) DeleteSnapshot(ctx context.Context, id volume.ID) error {
	key := copyKey{id.Volume, volume.Snapshots, id.ID}
	if err := m.copies.stop(ctx, key); err != nil {
		return err
	}
	_, err := changing(ctx, m, id.Volume, key.lock(), func(s *lifecycle.Volumes) (struct{}, error) {
		return struct{}{}, snapshot.New(s.Store).Delete(id.ID)
	})
	return err
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
	clusters, err := m.clusters.Current()
	if err != nil {
		return nil, "", err
	}
	for _, v := range byName(clusters.Volumes()) {
		start, follow := startOn(v, after)
		if !follow {
			continue
		}
		// One more than asked for tells whether there is a next page.
		all, err := one(ctx, m, v, "", func(s *lifecycle.Volumes) ([]copying.Status, error) {
			return snapshot.New(s.Store).List(ctx, of, start, limit+1-len(found))
		})
		if err != nil {
			return nil, "", fmt.Errorf("list the snapshots on %s: %w", v, err)
		}
		for _, st := range all {
			found = append(found, Snapshot{volume.ID{Volume: v, ID: st.ID}, st})
		}
		if len(found) > limit {
			return found[:limit], found[limit-1].ID.String(), nil
		}
	}
	return found, "", nil
}

// SnapshotsOn returns all snapshots on one Gluster volume, in the order of their IDs.
func (m *Manager) SnapshotsOn(ctx context.Context, v gluster.Volume) ([]Snapshot, error) {
	all, err := one(ctx, m, v, "", func(s *lifecycle.Volumes) ([]copying.Status, error) {
		return snapshot.New(s.Store).List(ctx, "", "", 0)
	})
	var found []Snapshot
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
