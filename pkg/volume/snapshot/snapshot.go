// SPDX-License-Identifier: Apache-2.0

// Package snapshot is the snapshots on one Gluster volume: copies of volumes that nobody writes to. The volume may be
// on another Gluster volume, or gone. What has not changed since the previous snapshot of the same volume is a hard
// link to that one's file, so they may be deleted in any order (TestOfTwoSnapshotsEitherMayGoFirst).
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Snapshots are those on one Gluster volume. Its methods block as long as GlusterFS does.
type Snapshots struct{ *copying.Copies }

// New returns the snapshots that are kept in a store.
func New(s *store.Store) *Snapshots { return &Snapshots{copying.New(s, volume.Snapshots)} }

// Of is the volume that a snapshot is to be of.
type Of struct {
	ID    string // CSI's
	Stamp string
	Held  int64 // bytes that it is held to; 0 for none
	// MadeFor is what Kubernetes wants the snapshot for; nil where nobody has said it.
	MadeFor *volume.SnapshotMadeFor
}

// Claim writes down the snapshot of a CSI name, and returns it, or the one that there is. It is on disk then.
// ErrIncompatible where that is of another volume.
func (s *Snapshots) Claim(name string, of Of) (copying.Status, error) {
	st, err := s.Copies.Claim(volume.Copy{
		Kind: volume.Snapshots, ID: volume.IDFor(name), Name: name, Created: volume.Now(), Source: volume.Source{Volume: of.ID}, SourceStamp: of.Stamp,
		Held: of.Held, MadeFor: of.MadeFor,
	})
	if err == nil {
		err = Check(st, name, of.ID)
	}
	return st, err
}

// Check returns an ErrIncompatible unless a snapshot is the one of a CSI name and of a volume.
func Check(st copying.Status, name, of string) error {
	if st.Name != name || st.Source.Volume != of {
		return fmt.Errorf("snapshot %q %w: it is of %s, not of volume %s", name, volume.ErrIncompatible, st.Source, of)
	}
	return nil
}

// Delete gives a snapshot up, however much it is. One that is not there is deleted already.
func (s *Snapshots) Delete(id string) error {
	st, err := s.Find(id)
	if errors.Is(err, volume.ErrNotFound) {
		return s.Explain(s.Commit())
	}
	if err == nil {
		err = s.GiveUp(st)
	}
	return err
}

// List returns at most limit snapshots whose IDs sort after the given one, in order; of one volume, if of is not "".
// Those that cannot be read are left out, and logged.
func (s *Snapshots) List(ctx context.Context, of, after string, limit int) ([]copying.Status, error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, err
	}
	start, _ := slices.BinarySearch(ids, after)
	if start < len(ids) && ids[start] == after {
		start++
	}
	const size = 256
	var found []copying.Status
	for some := range slices.Chunk(ids[start:], size) {
		all, damaged, err := s.Read(ctx, some)
		if err != nil {
			return nil, err
		}
		if damaged != nil {
			klog.FromContext(ctx).Error(damaged, "Snapshots left out of a list", "glusterVolume", s.Volume.String())
		}
		for _, st := range all {
			if of != "" && st.Source.Volume != of {
				continue
			}
			if found = append(found, st); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

// Previous is a snapshot that another may have links to, held open.
type Previous struct {
	copies.Previous

	Stamp  string
	Result volume.CopyResult
}

// Close releases it; nil is none.
func (p *Previous) Close() {
	if p != nil {
		p.Tree.Close()
		p.Work.Close()
	}
}

// Previous returns the latest snapshot of the same volume that is complete; nil where there is none.
func (s *Snapshots) Previous(ctx context.Context, st copying.Status) (*Previous, error) {
	all, err := s.List(ctx, st.Source.Volume, "", 0)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(other copying.Status) bool {
		return other.Result == nil || other.SourceStamp != st.SourceStamp || other.Stamp() == st.Stamp()
	})
	slices.SortFunc(all, func(a, b copying.Status) int { return b.Result.Completed.Compare(a.Result.Completed) })
	for _, other := range all {
		p, err := s.open(other)
		if err == nil {
			return p, nil
		}
		if volume.IgnoreNotExist(err) != nil {
			return nil, s.Explain(err)
		} // else it was deleted meanwhile
	}
	return nil, nil
}

func (s *Snapshots) open(st copying.Status) (*Previous, error) {
	p := &Previous{Stamp: st.Stamp(), Result: *st.Result}
	var err error
	if p.Tree, err = s.OpenTree(st); err != nil {
		return nil, err
	}
	if p.Work, err = s.OpenWork(st); err != nil {
		p.Tree.Close()
		return nil, err
	}
	return p, nil
}

// Open opens the tree of a snapshot that is complete: ErrNotFound, and ErrBusy where it is not.
func (s *Snapshots) Open(id string) (copying.Status, *safepath.Dir, error) {
	st, err := s.Find(id)
	if err == nil && st.Result == nil {
		err = fmt.Errorf("snapshot %s on %s is not complete yet: %w", id, s.Volume, volume.ErrBusy)
	}
	if err != nil {
		return st, nil, err
	}
	dir, err := s.OpenTree(st)
	if volume.IgnoreNotExist(err) == nil && err != nil {
		err = fmt.Errorf("snapshot %s on %s: %w", id, s.Volume, volume.ErrNotFound)
	}
	return st, dir, s.Explain(err)
}

// Verify compares a snapshot with its manifest, and changes nothing: names, kinds, sizes and times, and with content
// what is in the files. ErrNotFound, and ErrBusy where it is not complete.
func (s *Snapshots) Verify(ctx context.Context, id string, content bool) (copies.Report, error) {
	st, dir, err := s.Open(id)
	if err != nil {
		return copies.Report{}, err
	}
	defer dir.Close()
	work, err := s.OpenWork(st)
	if err != nil {
		return copies.Report{}, s.Explain(err)
	}
	defer work.Close()
	report, err := copies.Verify(ctx, dir, work, copies.VerifyOptions{Content: content, Permit: s.Permit})
	if err != nil {
		err = s.Explain(fmt.Errorf("verify snapshot %s on %s: %w", id, s.Volume, err))
	}
	return report, err
}

// Alone returns how many bytes of disk are free, on each replica, when a snapshot is deleted, but for its record: what
// it shares with others stays. It walks through all of it. ErrNotFound, and ErrBusy where it is not complete.
func (s *Snapshots) Alone(ctx context.Context, id string) (int64, error) {
	st, dir, err := s.Open(id)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	work, err := s.OpenWork(st)
	if err != nil {
		return 0, s.Explain(err)
	}
	defer work.Close()
	bytes, err := copies.Alone(ctx, dir, work, s.Permit)
	if err != nil {
		err = s.Explain(fmt.Errorf("add up what snapshot %s on %s holds alone: %w", id, s.Volume, err))
	}
	return bytes, err
}
