// SPDX-License-Identifier: Apache-2.0

// Package clients is what tests of the packages above pkg/gluster/client share: hosts whose clients end with the
// test, on clusters of tests/testcluster, and processes that use what is mounted as containers do.
package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Patience is how long a test waits for what should take milliseconds, on a machine that is busy with other tests.
const Patience = 30 * time.Second

// GV0 is the Gluster volume that every test cluster has.
func GV0() gluster.Volume { return gluster.Volume{Cluster: testcluster.Name, Name: "gv0"} }

// ClustersFile is a watched clusters file with one cluster of these servers, and gv0.
func ClustersFile(t *testing.T, servers []string) *gluster.ClustersFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	content := fmt.Sprintf("clusters:\n- name: %s\n  servers: [%s]\n  volumes: [gv0]\n", testcluster.Name,
		strings.Join(servers, ", "))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return gluster.WatchClusters(t.Context(), path, nil)
}

// SharedHost is a new Host for the cluster that all tests of a package share.
func SharedHost(t *testing.T) *client.Host {
	t.Helper()
	return NewHost(t, ClustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers()))
}

// NewHost returns a Host with a state directory of its own. When the test ends, all clients there are detached and
// must end.
func NewHost(t *testing.T, clusters *gluster.ClustersFile) *client.Host {
	t.Helper()
	return HostIn(t, t.TempDir(), clusters)
}

// HostIn is NewHost with this state directory.
func HostIn(t *testing.T, stateDir string, clusters *gluster.ClustersFile) *client.Host {
	t.Helper()
	h, err := client.NewHost(stateDir, clusters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, h) })
	return h
}

// end detaches every client, waits until they have ended, and detaches what dead ones have left, as a repair does
// when nothing else shows it.
func end(t *testing.T, h *client.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	before := h.Clients()
	if err := h.DetachIdle(ctx); err != nil {
		t.Error(err)
	}
	kept := h.Clients()
	for _, c := range before {
		if slices.ContainsFunc(kept, func(k client.Info) bool { return k.PID == c.PID }) {
			continue // another Host uses it
		}
		hasEnded := func() error {
			if err := unix.Kill(c.PID, 0); !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("client process %d still runs", c.PID)
			}
			return nil
		}
		if err := testcluster.Poll(ctx, hasEnded); err != nil {
			t.Errorf("after %v: %v:\n\t%s", Patience, err, whoHas(c.Device))
		}
	}
	h.Close()
	dead, err := h.KeptMounts()
	for _, k := range dead {
		err = errors.Join(err, h.Discard(k))
	}
	if err != nil {
		t.Error(err)
	}
}

// Ensure is Host.Ensure, which must succeed.
func Ensure(t *testing.T, h *client.Host, v gluster.Volume, options ...string) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	c, err := h.Ensure(ctx, v, options)
	if err != nil {
		t.Fatalf("Ensure(%s, %v): %v", v, options, err)
	}
	return c
}

// CheckWorks writes and reads a file through a client.
func CheckWorks(t *testing.T, c *client.Client) {
	t.Helper()
	err := testcluster.Within(Patience, func() error {
		path := filepath.Join(c.Mountpoint(), "checked-"+filepath.Base(filepath.Dir(c.Mountpoint())))
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			return err
		}
		return os.Remove(path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Signal sends a signal to the client's process.
func Signal(t *testing.T, c *client.Client, signal unix.Signal) {
	t.Helper()
	pid := c.Info().PID
	if pid <= 1 { // 0 would be this process's group
		t.Fatalf("no such client: pid %d", pid)
	}
	if err := unix.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// Kill kills the client's process and waits until it is seen to have ended.
func Kill(t *testing.T, c *client.Client) {
	t.Helper()
	Signal(t, c, unix.SIGKILL)
	testcluster.Eventually(t, Patience, func() error {
		if !c.HasEnded() {
			return fmt.Errorf("client process %d still runs", c.Info().PID)
		}
		return nil
	})
}

// MakeFile makes a directory below the client's root with a file that holds "data".
func MakeFile(t *testing.T, c *client.Client, dir string) {
	t.Helper()
	dir = filepath.Join(c.Mountpoint(), dir)
	err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "file"), []byte("data"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// Bind shows what is at root of a client's tree at a new target, which is detached when the test ends.
func Bind(t *testing.T, c *client.Client, root string, flags mount.Flags) (target string) {
	t.Helper()
	tree, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	fd, err := tree.OpenAny(root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	target = filepath.Join(t.TempDir(), "target")
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.Mkdir(target, 0o755)
	} else {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err == nil {
		err = mount.Bind(fd, target, flags)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mount.Detach(target); err != nil {
			t.Error(err)
		}
	})
	return target
}
