// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Limits are taken while quota is off, as it is for gv0, and hold nobody: these tests are about who sets which.

// setter is the one mount of gv0 that may set limits; the cluster's end ends it.
var setter struct {
	sync.Mutex
	path string
}

// privilegedPath is where a store of newStore is on a client that may set limits.
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
func privilegedStore(t *testing.T, mountpoint string) *Store {
	t.Helper()
	s := open(t, mountpoint)
	s.privileged = rootAt(privilegedPath(t, mountpoint))
	return s
}

// withLimit calls do with a directory as the client has it that sets limits.
func withLimit(t *testing.T, s *Store, path string, do func(*quota.Directory) error) {
	t.Helper()
	root, release, err := s.privileged()
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
func limitAt(t *testing.T, s *Store, path string) (bytes int64) {
	t.Helper()
	withLimit(t, s, path, func(dir *quota.Directory) error {
		l, _, err := dir.Limit()
		bytes = l.Bytes
		return err
	})
	return bytes
}

func limitedSpec(name string) Spec {
	s := spec(name)
	s.Quota, s.Enforced = QuotaEnforced, true
	return s
}

func TestTheTrashKeepsALimit(t *testing.T) {
	_, mountpoint := storeOf(t)
	s := privilegedStore(t, mountpoint)
	create(t, s, limitedSpec("vol"))
	create(t, s, spec("free"))
	expand(t, s, "vol", 3<<30, 0, 3<<30)
	expand(t, s, "free", 3<<30, 0, 3<<30)
	if got := limitAt(t, s, "free"); got != 0 {
		t.Errorf("a volume that is held to nothing has the limit %d", got)
	}
	must(t, s.Delete(background, "vol"))
	entries, err := s.TrashEntries()
	must(t, err)
	if got := limitAt(t, s, trashFile(entries[0].Name)); got != 3<<30 {
		t.Errorf("in the trash its limit is %d", got)
	}
	if _, err := s.Restore(entries[0].Name); err != nil {
		t.Fatal(err)
	}
	if got := limitAt(t, s, "vol"); got != 3<<30 {
		t.Errorf("restored, its limit is %d", got)
	}
}

func TestLimitsThatAreNotAsRecordedAreSetAgain(t *testing.T) {
	_, mountpoint := storeOf(t)
	s := privilegedStore(t, mountpoint)
	for _, name := range []string{"lost", "changed", "percent", "right", "busy"} {
		create(t, s, limitedSpec(name))
	}
	create(t, s, spec("free"))
	expand(t, s, "changed", 3<<30, 0, 3<<30)
	withLimit(t, s, "lost", (*quota.Directory).LiftLimit)
	withLimit(t, s, "busy", (*quota.Directory).LiftLimit)
	withLimit(t, s, "changed", func(d *quota.Directory) error { return d.SetLimit(quota.Limit{Bytes: 1 << 20}) })
	withLimit(t, s, "percent", func(d *quota.Directory) error {
		return d.SetLimit(quota.Limit{Bytes: 1 << 30, SoftPercent: quota.DefaultSoftPercent})
	})
	lock := func(id string) (func(), bool) { return func() {}, id != "busy" }
	for _, want := range []int{3, 0} {
		if set, err := s.settleLimits(background, lock); set != want || err != nil {
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
	_, mountpoint := storeOf(t)
	s := privilegedStore(t, mountpoint)
	create(t, s, limitedSpec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	must(t, os.Rename(vol, filepath.Join(mountpoint, "aside")), os.Mkdir(vol, 0o700))
	if _, err := s.Expand("vol", 3<<30, 0); err == nil {
		t.Error("expanded")
	}
	if _, err := s.settleLimits(background, unlocked); err == nil {
		t.Error("settled")
	}
	if got := limitAt(t, s, "vol"); got != 0 {
		t.Errorf("it has the limit %d", got)
	}
}

func TestWhenLimitsAreLookedAt(t *testing.T) {
	var l limited
	for i, look := range []struct {
		on, due, all bool
		version      string
	}{
		{false, false, true, ""}, {true, true, false, "1"}, {true, true, true, "1"}, {true, false, true, "1"}, {false, false, true, ""}, {true, true, true, "2"},
		{true, true, true, "3"}, {true, false, true, "3"},
	} {
		due := l.isDue(quota.State{On: look.on, Version: look.version})
		if due != look.due {
			t.Errorf("look %d: due %t", i, due)
		}
		if due {
			l.done(look.all)
		}
	}
	l.settled = time.Now().Add(-2 * abandoned)
	if !l.isDue(quota.State{On: true, Version: "3"}) {
		t.Error("not due after an hour")
	}
}
