// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/jobs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// withData makes a volume with a file in it, and returns its ID and where the Gluster volume is mounted for the test.
func withData(t *testing.T, m *Manager, c *testcluster.Cluster, v gluster.Volume) (id volume.ID, mountpoint string) {
	t.Helper()
	raw, err := c.Mount(t.Context(), v.Name)
	volumes.Must(t, err)
	t.Cleanup(func() { volumes.Must(t, raw.Close()) })
	r, err := m.Create(volumes.Background, v, volumes.Spec("vol"))
	volumes.Must(t, err, os.WriteFile(filepath.Join(raw.Path, r.Path, "data"), []byte("dear"), 0o600))
	return volume.ID{Volume: v, ID: r.ID}, raw.Path
}

func cloneOf(id volume.ID, name string) volume.Spec {
	spec := volumes.Spec(name)
	spec.Source = &volume.Source{Volume: id.String()}
	return spec
}

// brief is a context for a call that is not answered in time.
func brief(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestACloneThatIsNotCompleteSaysSoAndEndsWithItsVolume(t *testing.T) {
	m, c, v := managerOf(t)
	id, mountpoint := withData(t, m, c, v)
	m.SetMaxCopies(1, 1)
	leave, err := m.copies.Turn(t.Context(), v) // another copy is under way
	volumes.Must(t, err)
	for range 2 {
		_, err = m.Create(brief(t), v, cloneOf(id, "clone"))
		volumes.Wants(t, err, volume.ErrBusy, "is being copied from volume "+id.String(), "waits for its turn", "ask again")
	}
	if _, err := m.Get(t.Context(), volume.ID{Volume: v, ID: "clone"}); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("the volume is there: %v", err)
	}
	volumes.Must(t, m.Delete(t.Context(), volume.ID{Volume: v, ID: "clone"}))
	leave()
	volumes.Must(t, m.run(t.Context(), v, m.own, "", func(ctx context.Context, s *lifecycle.Volumes, _ *operation) error {
		_, err := copying.Reap(ctx, s.Store)
		return err
	}))
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
	// And what it was for may be made anew.
	r, err := m.Create(t.Context(), v, cloneOf(id, "clone"))
	volumes.Must(t, err)
	if data, err := os.ReadFile(filepath.Join(mountpoint, r.Path, "data")); err != nil || string(data) != "dear" || r.Origin != volume.Cloned {
		t.Errorf("the clone has %q, %v: %+v", data, err, r)
	}
}

func TestACloneIsNoSmallerThanItsSource(t *testing.T) {
	m, c, v := managerOf(t)
	id, mountpoint := withData(t, m, c, v)
	small := cloneOf(id, "clone")
	small.Required = 1 << 20
	_, err := m.Create(t.Context(), v, small)
	volumes.Wants(t, err, volume.ErrTooLarge, "needs 1073741824")
	bounded := cloneOf(id, "clone")
	bounded.Required, bounded.Limit = 0, 1<<20
	_, err = m.Create(t.Context(), v, bounded)
	volumes.Wants(t, err, volume.ErrTooLarge)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
	unsaid := cloneOf(id, "clone")
	unsaid.Required = 0
	r, err := m.Create(t.Context(), v, unsaid)
	volumes.Must(t, err)
	if r.Capacity != 1<<30 {
		t.Errorf("it has %d bytes", r.Capacity)
	}
	other := cloneOf(volume.ID{Volume: v, ID: "other"}, "clone")
	_, err = m.Create(t.Context(), v, other)
	volumes.Wants(t, err, volume.ErrIncompatible, "made from")
	_, err = m.Create(t.Context(), v, volumes.Spec("clone"))
	volumes.Wants(t, err, volume.ErrIncompatible, "made from")
}

// Another controller has claimed a snapshot, begun to copy it, and died.
func TestACopyGoesOnWithinAMinuteOfItsControllersDeath(t *testing.T) {
	m, c, v := managerOf(t)
	id, mountpoint := withData(t, m, c, v)
	r, err := m.Get(t.Context(), id)
	volumes.Must(t, err)
	dead := volumes.Open(t, mountpoint)
	st, err := copying.New(dead.Store, volume.Snapshots).Claim(volume.Copy{
		Kind: volume.Snapshots, ID: "snap", Name: "snap", Created: volume.Now(), Source: volume.Source{Volume: id.String()}, SourceStamp: r.Stamp(),
	})
	volumes.Must(t, err)
	place, err := copying.New(dead.Store, volume.Snapshots).Place(st)
	volumes.Must(t, err)
	at := filepath.Join(mountpoint, filepath.Dir(place))
	volumes.Must(t, os.Mkdir(at, 0o700), os.WriteFile(filepath.Join(at, "lease.1"), nil, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.keepCopying(ctx, v) }()
	snap := volume.ID{Volume: v, ID: "snap"}
	testcluster.Eventually(t, time.Minute, func() error {
		s, err := m.GetSnapshot(t.Context(), snap)
		if err == nil && s.Result == nil {
			err = errors.New("it is not complete")
		}
		return err
	})
	cancel()
	<-ended
	if _, err := os.Lstat(filepath.Join(at, "tree", "data")); err != nil {
		t.Error(err)
	}
}

// Whoever deletes a volume keeps its snapshots, and one that was begun is completed from the trash.
func TestASnapshotOutlivesItsVolume(t *testing.T) {
	m, c, v := managerOf(t)
	id, _ := withData(t, m, c, v)
	m.SetMaxCopies(1, 1)
	leave, err := m.copies.Turn(t.Context(), v)
	volumes.Must(t, err)
	s, err := m.CreateSnapshot(brief(t), v, "snap", id, nil)
	volumes.Must(t, err)
	if s.Result != nil {
		t.Fatal("it is complete before its turn")
	}
	volumes.Must(t, m.Delete(t.Context(), id))
	leave()
	testcluster.Eventually(t, time.Minute, func() error {
		s, err = m.CreateSnapshot(t.Context(), v, "snap", id, nil)
		if err == nil && s.Result == nil {
			err = errors.New("it is not complete")
		}
		return err
	})
	spec := volumes.Spec("restored")
	spec.Source = &volume.Source{Snapshot: s.ID.String()}
	if _, err := m.Create(t.Context(), v, spec); err != nil {
		t.Error(err)
	}
}

// The reaper has removed what a copy reads: it would be a copy of less.
func TestACopyOfWhatIsDeletedMeanwhileIsNotCompleted(t *testing.T) {
	m, c, v := managerOf(t)
	id, _ := withData(t, m, c, v)
	var s Snapshot
	testcluster.Eventually(t, time.Minute, func() (err error) {
		s, err = m.CreateSnapshot(t.Context(), v, "snap", id, nil)
		if err == nil && s.Result == nil {
			err = errors.New("it is not complete")
		}
		return err
	})
	spec := volumes.Spec("clone")
	spec.Source = &volume.Source{Snapshot: s.ID.String()}
	origin, err := m.origin(t.Context(), *spec.Source)
	volumes.Must(t, err)
	var st *copying.Status
	volumes.Must(t, m.run(t.Context(), v, m.own, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) (err error) {
		st, err = s.BeginClone(spec, origin)
		return err
	}))
	from, err := m.openSource(t.Context(), st.Copy)
	volumes.Must(t, err)
	defer from.dir.Close()
	volumes.Must(t, m.DeleteSnapshot(t.Context(), s.ID))
	err = m.run(t.Context(), v, m.own, "", func(ctx context.Context, s *lifecycle.Volumes, _ *operation) error {
		if _, err := copying.Reap(ctx, s.Store); err != nil {
			return err
		}
		return copyOn(ctx, s, *st, from, &jobs.Copy{}, func() error { return m.isStill(ctx, st.Copy) })
	})
	volumes.Wants(t, err, volume.ErrNotFound, "was deleted while it was copied")
	if _, err := m.Get(t.Context(), volume.ID{Volume: v, ID: "clone"}); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("the volume is there: %v", err)
	}
}
