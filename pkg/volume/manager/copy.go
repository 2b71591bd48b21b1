// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/jobs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/snapshot"
)

// copyListPeriod is how often copies that are not complete are listed.
const copyListPeriod = time.Minute

// startCopy returns the run of a copy, which begins now unless it is under way.
func (m *Manager) startCopy(ctx context.Context, key jobs.CopyKey) *jobs.Copy {
	return m.copies.Join(ctx, key, func(ctx context.Context, job *jobs.Copy) error { return m.copy(ctx, key, job) })
}

// copy makes one copy. What is opened of the source is read with the permit for the destination.
func (m *Manager) copy(ctx context.Context, key jobs.CopyKey, job *jobs.Copy) error {
	leave, err := m.copies.Turn(ctx, key.Volume)
	if err != nil {
		return err
	}
	defer leave()
	job.Begin()
	// Its end is the operation's, which ctx ends.
	outer := context.WithoutCancel(ctx)
	st, err := one(outer, m, key.Volume, "", func(s *lifecycle.Volumes) (copying.Status, error) {
		return copying.New(s.Store, key.Kind).Find(key.ID)
	})
	if errors.Is(err, volume.ErrNotFound) || err == nil && st.Result != nil {
		return nil // given up, or complete
	}
	var from source
	if err == nil {
		from, err = m.openSource(outer, st.Copy)
	}
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", st.Source, key.ID, err)
	}
	defer from.dir.Close()
	return m.run(outer, key.Volume, m.own, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) error {
		return copyOn(ctx, s, st, from, job, func() error { return m.isStill(outer, st.Copy) })
	})
}

func copyOn(ctx context.Context, s *lifecycle.Volumes, st copying.Status, from source, job *jobs.Copy, still func() error) error {
	o := copying.Options{Own: from.own, Still: still, Progress: &job.Progress}
	entries, bytes := from.entries, from.bytes
	if st.Kind == volume.Clones {
		o.Prepare = func(tree *safepath.Dir) error { return s.LimitClone(st, tree) }
	} else {
		o.Hash = true
		previous, err := snapshot.New(s.Store).Previous(ctx, st)
		if err != nil {
			return err
		}
		defer previous.Close()
		if previous != nil {
			o.Previous, o.PreviousStamp = &previous.Previous, previous.Stamp
			entries, bytes = previous.Result.Entries, max(bytes, previous.Result.Bytes)
		}
	}
	job.Progress.Expect(entries, bytes)
	_, err := copying.New(s.Store, st.Kind).Run(ctx, st, from.dir, o)
	if st.Enforced && errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("what is in %s is more than fits into the volume, which is held to its capacity: delete the claim, and ask for more than %s: %w",
			st.Source, jobs.Bytes(st.Capacity, 0), err)
	}
	return err
}

// source is what is copied, held open.
type source struct {
	dir            *safepath.Dir
	own            tree.Own
	entries, bytes int64 // 0 where that is not known
}

// openSource opens what a copy is of, on whichever Gluster volume.
func (m *Manager) openSource(ctx context.Context, c volume.Copy) (source, error) {
	id, err := volume.ParseID(c.Source.Volume + c.Source.Snapshot)
	if err != nil {
		return source{}, err
	}
	return one(ctx, m, id.Volume, "", func(s *lifecycle.Volumes) (source, error) {
		if c.Source.Snapshot != "" {
			st, dir, err := snapshot.New(s.Store).Open(id.ID)
			if err != nil {
				return source{}, err
			}
			if st.Stamp() != c.SourceStamp {
				dir.Close()
				return source{}, fmt.Errorf("snapshot %s is another one of that name by now: %w", id, volume.ErrNotFound)
			}
			return source{dir: dir, entries: st.Result.Entries, bytes: st.Result.Bytes}, nil
		}
		dir, used, err := s.OpenData(id.ID, c.SourceStamp)
		if err != nil {
			return source{}, err
		}
		own, err := s.KeepOut(ctx, false)
		if err != nil {
			dir.Close()
			return source{}, err
		}
		return source{dir: dir, own: own, bytes: used}, nil
	})
}

// isStill returns nil if nothing of the source can have been removed until now: who removes it gives it up before, for
// everybody to see.
func (m *Manager) isStill(ctx context.Context, c volume.Copy) error {
	from, err := m.openSource(ctx, c)
	if err != nil {
		return fmt.Errorf("%s was deleted while it was copied: %w", c.Source, err)
	}
	from.dir.Close()
	return nil
}

// keepCopying goes on with the copies on one Gluster volume that nobody goes on with, until ctx is done.
func (m *Manager) keepCopying(ctx context.Context, v gluster.Volume) {
	var listed time.Time
	var known []jobs.CopyKey
	look := func(ctx context.Context) {
		if time.Since(listed) >= copyListPeriod {
			found, err := m.incomplete(ctx, v)
			if err == nil {
				known, listed = found, time.Now()
			} else if ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Copies that are not complete are not known; they are asked for again", "glusterVolume", v.String())
			}
		}
		for _, key := range known {
			if m.copies.MayGoOn(key) {
				m.startCopy(ctx, key)
			}
		}
	}
	panics.EveryFromNow(ctx, jobs.CopyPeriod, "look for copies to go on with", look)
}

func (m *Manager) incomplete(ctx context.Context, v gluster.Volume) ([]jobs.CopyKey, error) {
	return one(ctx, m, v, "", func(s *lifecycle.Volumes) ([]jobs.CopyKey, error) {
		var keys []jobs.CopyKey
		for _, kind := range []volume.CopyKind{volume.Snapshots, volume.Clones} {
			ids, err := copying.New(s.Store, kind).Incomplete()
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				keys = append(keys, jobs.CopyKey{Volume: v, Kind: kind, ID: id})
			}
		}
		return keys, nil
	})
}
