// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package volumes is what the tests of the packages below pkg/volume share: volumes on a real Gluster volume, and an
// audit of everything that is there.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/check"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// GV0 is what the stores of the tests call their Gluster volume, whichever it is.
var GV0 = gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}

// made numbers what the tests make.
var made atomic.Int64

// NewGlusterVolume is a Gluster volume of the test's own, seen through a client that the driver
// does not know.
func NewGlusterVolume(t *testing.T, options testcluster.VolumeOptions) (c *testcluster.Cluster, name, mountpoint string) {
	t.Helper()
	c = testcluster.Shared(t, testcluster.Options{})
	name = fmt.Sprintf("v%d", made.Add(1))
	if err := c.CreateVolume(name, options); err != nil {
		t.Fatal(err)
	}
	m, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close(), c.RemoveVolume(name)); err != nil {
			t.Error(err)
		}
	})
	return c, name, m.Path
}

// Open is OpenStore for the time of a test.
func Open(t *testing.T, mountpoint string) *lifecycle.Volumes {
	t.Helper()
	s, closeStore, err := OpenStore(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeStore)
	return s
}

// OpenStore is the store of a driver that knows nothing, behind a mount point.
func OpenStore(mountpoint string) (s *lifecycle.Volumes, closeStore func(), err error) {
	c := commit.New()
	s, closeView, err := OpenWith(mountpoint, c)
	return s, func() { closeView(); c.Close() }, err
}

// OpenWith is OpenStore with a committer that others use, too.
func OpenWith(mountpoint string, c *commit.Committer) (s *lifecycle.Volumes, closeView func(), err error) {
	v, err := owndir.OpenView(GV0, mountpoint)
	if err != nil {
		return nil, nil, err
	}
	memory := store.NewMemory(func(root *safepath.Dir) error {
		mount, err := mountOf(root)
		if err != nil {
			return err
		}
		defer mount.Close()
		return c.Commit(context.Background(), mount)
	})
	return lifecycle.New(store.New(v, memory, nil), &trash.Memory{}), v.Close, nil
}

// Reconciled is a store whose reconciler has found that nothing is left where all was before it was spread, as a driver's
// is soon after its start.
func Reconciled(s *lifecycle.Volumes) *lifecycle.Volumes {
	for _, kind := range owndir.OnceFlat {
		s.SetSpread(kind)
	}
	return s
}

// Checker looks at the Gluster volume that a store is of.
func Checker(s *lifecycle.Volumes) *check.Checker { return check.New(s.Trash) }

// mountOf returns the root of the client's mount: a store of OnGV0 is in a directory of it.
func mountOf(root *safepath.Dir) (*safepath.Dir, error) {
	at, err := os.Readlink(fmt.Sprint("/proc/self/fd/", root.Fd()))
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(filepath.Base(at), storePrefix) {
		at = filepath.Dir(at)
	}
	return safepath.OpenRoot(at)
}

// shared is the one raw mount of gv0 that most tests use; the cluster's end ends it.
var shared struct {
	sync.Mutex
	path string
}

// storePrefix begins the name of a directory that serves as the root of a Gluster volume.
const storePrefix = "store-"

// OnGV0 is a store of the test's own, on gv0: a directory of it serves as well as the
// root of a Gluster volume, and is there at once.
func OnGV0(t *testing.T) (*lifecycle.Volumes, string) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.path == "" {
		m, err := testcluster.Shared(t, testcluster.Options{}).Mount(context.Background(), "gv0")
		if err != nil {
			t.Fatal(err)
		}
		shared.path = m.Path
	}
	mountpoint := NewRoot(t, shared.path)
	return Open(t, mountpoint), mountpoint
}

// NewRoot makes a directory of a mount that serves as the root of a Gluster volume.
func NewRoot(t *testing.T, mountpoint string) string {
	t.Helper()
	root := filepath.Join(mountpoint, fmt.Sprint(storePrefix, made.Add(1)))
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// OnGV0WithoutWaiting is a store that waits for nobody.
func OnGV0WithoutWaiting(t *testing.T) (s *lifecycle.Volumes, mountpoint, own string) {
	t.Helper()
	s, mountpoint = OnGV0(t)
	s.Recent, s.Abandoned = 0, 0
	return s, mountpoint, filepath.Join(mountpoint, volume.OwnDir)
}

// TwoClients are a Gluster volume seen through two clients of the driver's own, as two controllers do.
func TwoClients(t *testing.T, options testcluster.VolumeOptions) (c *testcluster.Cluster, name string, mountpoints []string) {
	t.Helper()
	c, name, _ = NewGlusterVolume(t, options)
	for range 2 {
		m, err := c.Mount(t.Context(), name, gluster.Arguments(name, []string{gluster.FreshNames})...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		mountpoints = append(mountpoints, m.Path)
	}
	return c, name, mountpoints
}

// FreshEyes look at a Gluster volume through a client that remembers nothing: one that has seen it
// before trusts what it saw for a second.
func FreshEyes(t *testing.T, c *testcluster.Cluster, name string, look func(mountpoint string)) {
	t.Helper()
	m, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	look(m.Path)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// Background is the context of calls that have no deadline.
var Background = context.Background()

// Unlocked lets Reconcile have every volume.
func Unlocked(string) (func(), bool) { return func() {}, true }

// RootOf is a path of the Gluster volume's root for the test's own system calls.
func RootOf(s *lifecycle.Volumes) string { return fmt.Sprint("/proc/self/fd/", s.Root.Fd()) }
