// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const ioTimeout = 20 * time.Second

func TestReplica2SurvivesABrickAndAServer(t *testing.T) {
	before := Snapshot()
	c, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	m := mount(t, c)

	write(t, m, "all", ioTimeout)
	if err := c.KillBrick("gv0", 1); err != nil {
		t.Fatal(err)
	}
	write(t, m, "without-brick", ioTimeout)
	if _, err := os.Stat(filepath.Join(c.BrickPath("gv0", 1), "without-brick")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the killed brick has the file: %v", err)
	}
	if err := c.StartBrick("gv0", 1); err != nil {
		t.Fatal(err)
	}
	healed(t, c, "without-brick", 1)
	connected(t, m, 1)

	if err := c.KillServer(0); err != nil {
		t.Fatal(err)
	}
	write(t, m, "without-server", ioTimeout)
	if err := c.StartServer(0); err != nil {
		t.Fatal(err)
	}
	healed(t, c, "without-server", 0)
	connected(t, m, 0)

	if err := c.StopServer(1); err != nil {
		t.Fatal(err)
	}
	pending := make(chan error, 1)
	go func() { pending <- os.WriteFile(filepath.Join(m.Path, "waits"), []byte("waits"), 0o600) }()
	if err := Within(300*time.Millisecond, func() error { return <-pending }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a write with a stopped server: %v, want none to return", err)
	}
	if err := c.ContinueServer(1); err != nil {
		t.Fatal(err)
	}
	healed(t, c, "waits", 1)
	write(t, m, "after", ioTimeout)

	began := time.Now()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= lingerTimeout {
		t.Errorf("the client did not end by itself: the namespace of a server started after it holds its mount")
	}
	began = time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("closed in %v", time.Since(began))
	if err := c.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if leaks := before.Leaks(); len(leaks) > 0 {
		t.Errorf("left after Close:\n%s", strings.Join(leaks, "\n"))
	}
}

func TestCloseEndsStoppedServersAndMountsInUse(t *testing.T) {
	before := Snapshot()
	c := New(t, Options{})
	m := mount(t, c)
	write(t, m, "open", ioTimeout)
	open, err := os.Open(filepath.Join(m.Path, "open"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	for i := range c.Servers() {
		if err := c.StopServer(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("closing a mount after its cluster: %v", err)
	}
	if leaks := before.Leaks(); len(leaks) > 0 {
		t.Errorf("left after Close:\n%s", strings.Join(leaks, "\n"))
	}
}

func TestArbiterHoldsNamesOnly(t *testing.T) {
	c := New(t, Options{Arbiter: true})
	if got := len(c.Servers()); got != 3 {
		t.Errorf("%d servers, want 3", got)
	}
	m := mount(t, c)
	write(t, m, "all", ioTimeout)
	if info, err := os.Stat(filepath.Join(c.BrickPath("gv0", 2), "all")); err != nil || info.Size() != 0 {
		t.Errorf("on the arbiter: %v, %v, want an empty file", info, err)
	}
	if err := c.KillBrick("gv0", 0); err != nil {
		t.Fatal(err)
	}
	write(t, m, "without-brick", ioTimeout)
	if err := c.StartBrick("gv0", 0); err != nil {
		t.Fatal(err)
	}
	healed(t, c, "without-brick", 0)
}

func TestClustersLiveSideBySide(t *testing.T) {
	var group errgroup.Group
	clusters := make([]*Cluster, 2)
	for i := range clusters {
		group.Go(func() (err error) {
			clusters[i], err = Start(t.Context(), Options{})
			return err
		})
		t.Cleanup(func() {
			if err := clusters[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	write(t, mount(t, clusters[0]), "mine", ioTimeout)
	if err := clusters[0].Close(); err != nil {
		t.Error(err)
	}
	m := mount(t, clusters[1])
	write(t, m, "other", ioTimeout)
	if _, err := os.Stat(filepath.Join(m.Path, "mine")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of the other cluster: %v", err)
	}
}

func TestSharedCluster(t *testing.T) {
	c := Shared(t, Options{})

	t.Run("is the same one the next time", func(t *testing.T) {
		if again := Shared(t, Options{}); again != c {
			t.Errorf("another cluster in %s, the first is in %s", again.Dir(), c.Dir())
		}
	})
	t.Run("has a clusters file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "clusters.yaml")
		if err := c.ClustersFile(path); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("clusters:\n  - name: pi\n    servers: [%s, %s]\n    volumes: [gv0]\n", c.Servers()[0], c.Servers()[1])
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	})
	t.Run("stops, starts and deletes a volume", func(t *testing.T) {
		if err := c.CreateVolume("gv1", VolumeOptions{Replica: 1}); err != nil {
			t.Fatal(err)
		}
		if got := c.Volumes(); !slices.Equal(got, []string{"gv0", "gv1"}) {
			t.Errorf("volumes %v", got)
		}
		path := c.BrickPath("gv1", 0)
		for _, step := range []func(string) error{c.StopVolume, c.StartVolume, c.StopVolume, c.DeleteVolume} {
			if err := step("gv1"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("brick of a deleted volume: %v", err)
		}
	})
	t.Run("has bricks that get full", func(t *testing.T) {
		if err := c.CreateVolume("tiny", VolumeOptions{BrickSize: 16 << 20}); err != nil {
			t.Fatal(err)
		}
		// Not a tmpfs: before Linux 6.6 that has no user.* attributes, and GlusterFS refuses a brick on it.
		var st unix.Statfs_t
		if err := unix.Statfs(c.BrickPath("tiny", 0), &st); err != nil || st.Type != unix.EXT4_SUPER_MAGIC {
			t.Errorf("bricks on a file system of type %#x, %v, want ext4", st.Type, err)
		}
		m := mountVolume(t, c, "tiny")
		err := Within(ioTimeout, func() error { return os.WriteFile(filepath.Join(m.Path, "big"), make([]byte, 32<<20), 0o600) })
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("32 MiB on bricks of 16: %v, want ENOSPC", err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := errors.Join(c.StopVolume("tiny"), c.DeleteVolume("tiny")); err != nil {
			t.Error(err)
		}
	})
	t.Run("tells about heals", func(t *testing.T) {
		out, err := c.Gluster("volume", "heal", "gv0", "info")
		if err != nil || strings.Count(out, "Status: Connected") != 2 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("tells why a command failed", func(t *testing.T) {
		_, err := c.Gluster("volume", "info", "absent")
		if err == nil || !strings.Contains(err.Error(), "Volume absent does not exist") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("tells why a mount failed", func(t *testing.T) {
		_, err := c.Mount(t.Context(), "absent")
		if err == nil || !strings.Contains(err.Error(), "failed to fetch volume file") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("has a client that is killed", func(t *testing.T) {
		m := mount(t, c)
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(m.Path); !errors.Is(err, syscall.ENOTCONN) {
			t.Errorf("stat: %v, want ENOTCONN", err)
		}
	})
}

func mount(t *testing.T, c *Cluster) *RawMount {
	t.Helper()
	return mountVolume(t, c, "gv0")
}

func mountVolume(t *testing.T, c *Cluster, volume string) *RawMount {
	t.Helper()
	m, err := c.Mount(t.Context(), volume)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log of the client at %s:\n%s", m.Path, m.Log())
		}
	})
	return m
}

func write(t *testing.T, m *RawMount, name string, within time.Duration) {
	t.Helper()
	err := Within(within, func() error { return os.WriteFile(filepath.Join(m.Path, name), []byte(name), 0o600) })
	if err != nil {
		t.Fatal(err)
	}
}

func connected(t *testing.T, m *RawMount, brick int) {
	t.Helper()
	Eventually(t, ioTimeout, func() error { return Connected(m.Path, "gv0", brick) })
}

// healed waits until a brick has the file with its content.
func healed(t *testing.T, c *Cluster, name string, brick int) {
	t.Helper()
	Eventually(t, ioTimeout, func() error {
		data, err := os.ReadFile(filepath.Join(c.BrickPath("gv0", brick), name))
		if err == nil && string(data) != name {
			err = fmt.Errorf("%q", data)
		}
		return err
	})
}
