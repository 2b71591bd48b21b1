// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

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
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

var gv0 = gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}

var names atomic.Int64

// fresh is a Gluster volume of the test's own, seen through a client that the driver
// does not know.
func fresh(t *testing.T, options testcluster.VolumeOptions) (c *testcluster.Cluster, name, mountpoint string) {
	t.Helper()
	c = testcluster.Shared(t, testcluster.Options{})
	name = fmt.Sprintf("v%d", names.Add(1))
	if err := c.CreateVolume(name, options); err != nil {
		t.Fatal(err)
	}
	m, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close(), c.StopVolume(name), c.DeleteVolume(name)); err != nil {
			t.Error(err)
		}
	})
	return c, name, m.Path
}

func open(t *testing.T, mountpoint string) *Store {
	t.Helper()
	s, closeStore, err := openStore(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeStore)
	return s
}

// openStore is the store of a driver that knows nothing, behind a mount point.
func openStore(mountpoint string) (s *Store, closeStore func(), err error) {
	c := commit.New()
	s, closeView, err := openWith(mountpoint, c)
	return s, func() { closeView(); c.Close() }, err
}

// openWith is openStore with a committer that others use, too.
func openWith(mountpoint string, c *commit.Committer) (s *Store, closeView func(), err error) {
	v, err := openView(gv0, mountpoint)
	if err != nil {
		return nil, nil, err
	}
	memory := newMemory(func(root *safepath.Dir) error {
		mount, err := mountOf(root)
		if err != nil {
			return err
		}
		defer mount.Close()
		return c.Commit(context.Background(), mount)
	})
	return newVolumes(newStore(v, memory, nil), &trashMemory{}, noPrivileged), v.close, nil
}

func noPrivileged() (*safepath.Dir, func(), error) {
	return nil, nil, fmt.Errorf("%w: there is no client here that sets limits", ErrInvalid)
}

// mountOf returns the root of the client's mount: a store of storeOf is in a directory of it.
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

const storePrefix = "store-"

// storeOf is a store of the test's own, on gv0: a directory of it serves as well as the
// root of a Gluster volume, and is there at once.
func storeOf(t *testing.T) (*Store, string) {
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
	mountpoint := filepath.Join(shared.path, fmt.Sprint(storePrefix, names.Add(1)))
	if err := os.Mkdir(mountpoint, 0o755); err != nil {
		t.Fatal(err)
	}
	return open(t, mountpoint), mountpoint
}

// checkStore is a store that waits for nobody.
func checkStore(t *testing.T) (s *Store, mountpoint, own string) {
	t.Helper()
	s, mountpoint = storeOf(t)
	s.recent, s.abandoned = 0, 0
	return s, mountpoint, filepath.Join(mountpoint, ownDir)
}

// two are a Gluster volume seen through two clients of the driver's own, as two controllers do.
func two(t *testing.T, options testcluster.VolumeOptions) (c *testcluster.Cluster, name string, mountpoints []string) {
	t.Helper()
	c, name, _ = fresh(t, options)
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

// freshEyes look at a Gluster volume through a client that remembers nothing: one that has seen it
// before trusts what it saw for a second.
func freshEyes(t *testing.T, c *testcluster.Cluster, name string, look func(mountpoint string)) {
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

var background = context.Background()

// unlocked lets Reconcile have every volume.
func unlocked(string) (func(), bool) { return func() {}, true }

// rootOf is a path of the Gluster volume's root for the test's own system calls.
func rootOf(s *Store) string { return fmt.Sprint("/proc/self/fd/", s.root.Fd()) }
