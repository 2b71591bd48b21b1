// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// Limits are taken while quota is off, as it is for gv0, and hold nobody: these tests are about who sets which.

// setter is the one mount of gv0 that may set limits; the cluster's end ends it.
var setter struct {
	sync.Mutex
	path string
}

// privilegedPath is where a store of New is on a client that may set limits.
func privilegedPath(t *testing.T, mountpoint string) string {
	t.Helper()
	setter.Lock()
	defer setter.Unlock()
	if setter.path == "" {
		m, err := testcluster.Shared(t, testcluster.Options{}).Mount(context.Background(), "gv0", gluster.Arguments("gv0", gluster.PrivilegedOptions())...)
		if err != nil {
			t.Fatal(err)
		}
		setter.path = m.Path
	}
	return filepath.Join(setter.path, filepath.Base(mountpoint))
}

func rootAt(path string) func() (*safepath.Dir, func(), error) {
	return func() (*safepath.Dir, func(), error) {
		root, err := safepath.OpenRoot(path)
		if err != nil {
			return nil, nil, err
		}
		return root, root.Close, nil
	}
}

// privilegedStore is open with a client that may set limits.
func privilegedStore(t *testing.T, mountpoint string) *lifecycle.Volumes {
	t.Helper()
	s := volumes.Reconciled(volumes.Open(t, mountpoint))
	s.Privileged = rootAt(privilegedPath(t, mountpoint))
	return s
}

// withLimit calls do with a directory as the client has it that sets limits.
func withLimit(t *testing.T, s *lifecycle.Volumes, path string, do func(*quota.Directory) error) {
	t.Helper()
	root, release, err := s.Privileged()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	dir, err := quota.Open(root, path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := do(dir); err != nil {
		t.Fatal(err)
	}
}

// limitAt is the limit of a directory in bytes, 0 where it has none.
func limitAt(t *testing.T, s *lifecycle.Volumes, path string) (bytes int64) {
	t.Helper()
	withLimit(t, s, path, func(dir *quota.Directory) error {
		l, _, err := dir.Limit()
		bytes = l.Bytes
		return err
	})
	return bytes
}

func limitedSpec(name string) volume.Spec {
	s := volumes.Spec(name)
	s.Quota, s.Enforced = volume.QuotaEnforced, true
	return s
}

func TestTheTrashKeepsALimit(t *testing.T) {
	_, mountpoint := volumes.OnGV0(t)
	s := privilegedStore(t, mountpoint)
	volumes.Create(t, s, limitedSpec("vol"))
	volumes.Create(t, s, volumes.Spec("free"))
	volumes.Expand(t, s, "vol", 3<<30, 0, 3<<30)
	volumes.Expand(t, s, "free", 3<<30, 0, 3<<30)
	if got := limitAt(t, s, "free"); got != 0 {
		t.Errorf("a volume that is held to nothing has the limit %d", got)
	}
	volumes.Must(t, s.Delete(volumes.Background, "vol"))
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	if got := limitAt(t, s, volumes.TrashFile(entries[0].Name)); got != 3<<30 {
		t.Errorf("in the trash its limit is %d", got)
	}
	if _, err := s.Trash.Restore(entries[0].Name); err != nil {
		t.Fatal(err)
	}
	if got := limitAt(t, s, "vol"); got != 3<<30 {
		t.Errorf("restored, its limit is %d", got)
	}
}

func TestLimitsThatAreNotAsRecordedAreSetAgain(t *testing.T) {
	_, mountpoint := volumes.OnGV0(t)
	s := privilegedStore(t, mountpoint)
	for _, name := range []string{"lost", "changed", "percent", "right", "busy"} {
		volumes.Create(t, s, limitedSpec(name))
	}
	volumes.Create(t, s, volumes.Spec("free"))
	volumes.Expand(t, s, "changed", 3<<30, 0, 3<<30)
	withLimit(t, s, "lost", (*quota.Directory).LiftLimit)
	withLimit(t, s, "busy", (*quota.Directory).LiftLimit)
	withLimit(t, s, "changed", func(d *quota.Directory) error { return d.SetLimit(quota.Limit{Bytes: 1 << 20}) })
	withLimit(t, s, "percent", func(d *quota.Directory) error {
		return d.SetLimit(quota.Limit{Bytes: 1 << 30, SoftPercent: quota.DefaultSoftPercent})
	})
	lock := func(id string) (func(), bool) { return func() {}, id != "busy" }
	for _, want := range []int{3, 0} {
		if set, err := s.SettleLimits(volumes.Background, lock); set != want || err != nil {
			t.Errorf("set %d limits, want %d, %v", set, want, err)
		}
	}
	for name, want := range map[string]int64{"lost": 1 << 30, "changed": 3 << 30, "percent": 1 << 30, "right": 1 << 30, "busy": 0, "free": 0} {
		if got := limitAt(t, s, name); got != want {
			t.Errorf("%s has the limit %d, want %d", name, got, want)
		}
	}
}

// The limit is for the directory that is the volume's, not for whatever has its name.
func TestAnotherDirectoryGetsNoLimit(t *testing.T) {
	_, mountpoint := volumes.OnGV0(t)
	s := privilegedStore(t, mountpoint)
	volumes.Create(t, s, limitedSpec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	volumes.Must(t, os.Rename(vol, filepath.Join(mountpoint, "aside")), os.Mkdir(vol, 0o700))
	if _, err := s.Expand("vol", 3<<30, 0); err == nil {
		t.Error("expanded")
	}
	if _, err := s.SettleLimits(volumes.Background, volumes.Unlocked); err == nil {
		t.Error("settled")
	}
	if got := limitAt(t, s, "vol"); got != 0 {
		t.Errorf("it has the limit %d", got)
	}
}

// withPrivileged does something with a client that may set limits.
func withPrivileged(t *testing.T, do func(*lifecycle.Volumes) error) func(*lifecycle.Volumes) error {
	return func(s *lifecycle.Volumes) error {
		mountpoint, err := os.Readlink(volumes.RootOf(s))
		volumes.Must(t, err)
		s.Privileged = rootAt(privilegedPath(t, mountpoint))
		return do(s)
	}
}

// A directory that is given back has no limit, whatever another controller sets meanwhile.
func TestWhatIsGivenBackWhileItIsExpandedHasNoLimit(t *testing.T) {
	spec := limitedSpec("vol")
	spec.OnDelete = volume.Retain
	create := withPrivileged(t, func(s *lifecycle.Volumes) error { _, err := s.Create(spec); return err })
	prepare := func(s *lifecycle.Volumes) { volumes.Must(t, create(s)) }
	expand := withPrivileged(t, func(s *lifecycle.Volumes) error { _, err := s.Expand("vol", 2<<30, 0); return err })
	remove := withPrivileged(t, func(s *lifecycle.Volumes) error { return s.Delete(volumes.Background, "vol") })
	check := func(mountpoint string) {
		volumes.Same(t, volumes.Audit(t, mountpoint), "directory vol")
		if got := limitAt(t, privilegedStore(t, mountpoint), "vol"); got != 0 {
			t.Errorf("it has the limit %d", got)
		}
	}
	t.Run("at each point of the expansion", func(t *testing.T) { atEachPoint(t, prepare, expand, remove, check) })
	t.Run("at each point of the deletion", func(t *testing.T) { atEachPoint(t, prepare, remove, expand, check) })
}

// What is in the trash, or on its way there, is not given back.
func TestWhatIsDeletedWhileItIsExpandedKeepsItsLimit(t *testing.T) {
	spec := limitedSpec("vol")
	spec.OnDelete = volume.Trash
	create := withPrivileged(t, func(s *lifecycle.Volumes) error { _, err := s.Create(spec); return err })
	prepare := func(s *lifecycle.Volumes) { volumes.Must(t, create(s)) }
	expand := withPrivileged(t, func(s *lifecycle.Volumes) error { _, err := s.Expand("vol", 2<<30, 0); return err })
	remove := withPrivileged(t, func(s *lifecycle.Volumes) error { return s.Delete(volumes.Background, "vol") })
	check := func(mountpoint string) {
		s := privilegedStore(t, mountpoint)
		entries, err := s.Trash.TrashEntries()
		volumes.Must(t, err)
		_, err = s.Trash.Restore(entries[0].Name)
		volumes.Must(t, err)
		if limitAt(t, s, "vol") == 0 {
			t.Error("it has no limit")
		}
	}
	t.Run("at each point of the expansion", func(t *testing.T) { atEachPoint(t, prepare, expand, remove, check) })
	t.Run("at each point of the deletion", func(t *testing.T) { atEachPoint(t, prepare, remove, expand, check) })
}
