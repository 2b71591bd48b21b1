// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package consistency proves what docs/consistency.md says: two clients of one Gluster volume, as two nodes have them, and programs
// that lock as POSIX says. What each of them was told to be done is counted against what is there.
package consistency

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestMain runs the tests without the signals by which Go's scheduler interrupts system calls: one that interrupts the wait for a lock
// at the wrong moment makes GlusterFS (10.3) lose track of it.
func TestMain(m *testing.M) {
	const quiet = "GODEBUG=asyncpreemptoff=1"
	if os.Getenv("GODEBUG") != strings.TrimPrefix(quiet, "GODEBUG=") {
		environment := append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GODEBUG=") }), quiet)
		fmt.Fprintln(os.Stderr, unix.Exec("/proc/self/exe", os.Args, environment))
		os.Exit(1)
	}
	testcluster.Main(m)
}

const gv0 = "gv0"

// node is a node's client of a Gluster volume.
type node struct{ *testcluster.RawMount }

func (n node) path(name string) string { return filepath.Join(n.Path, name) }

// mount mounts gv0 as the driver does, with these client options, and waits until it uses each brick that is up. Before, on a replica 2
// volume without quorum, it locks and writes on the other alone, and who reads from this one misses it.
func mount(t *testing.T, c *testcluster.Cluster, bricks []bool, options ...string) node {
	t.Helper()
	m, err := c.Mount(t.Context(), gv0, gluster.Arguments(gv0, options)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, isUp := range bricks {
		if isUp {
			testcluster.Eventually(t, patience, func() error { return uses(m, len(bricks), i) })
		}
	}
	return node{m}
}

// uses returns nil if a client is connected to a brick, and its replica set knows.
func uses(m *testcluster.RawMount, bricks, i int) error {
	if err := testcluster.Connected(m.Path, gv0, i); err != nil || bricks == 1 {
		return err
	}
	state, err := os.ReadFile(filepath.Join(m.Path, ".meta/graphs/active", gv0+"-replicate-0", "private"))
	if err == nil && !strings.Contains(string(state), fmt.Sprintf("child_up[%d] = 1", i)) {
		err = fmt.Errorf("brick %d is not in use yet", i)
	}
	return err
}

// bothBricks are those of the shared cluster.
var bothBricks = []bool{true, true}

// nodes are two clients of the shared cluster.
func nodes(t *testing.T, options ...string) (a, b node) {
	t.Helper()
	c := testcluster.Shared(t, testcluster.Options{})
	return mount(t, c, bothBricks, options...), mount(t, c, bothBricks, options...)
}

func (n node) open(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	file, err := os.OpenFile(n.path(name), flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// locker locks and unlocks a whole file for writing, and waits for its turn.
type locker func(file *os.File, lock bool) error

// byFcntl is a POSIX lock. All of this process's file descriptors of an inode share it, but each mount has its own inodes.
func byFcntl(file *os.File, lock bool) error {
	how := int16(unix.F_UNLCK)
	if lock {
		how = unix.F_WRLCK
	}
	for {
		if err := unix.FcntlFlock(file.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: how}); err != unix.EINTR {
			return err
		}
	}
}

func byFlock(file *os.File, lock bool) error {
	how := unix.LOCK_UN
	if lock {
		how = unix.LOCK_EX
	}
	for {
		if err := unix.Flock(int(file.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// under runs do while the file is locked.
func (l locker) under(file *os.File, do func() error) error {
	if err := l(file, true); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if err := do(); err != nil {
		return err
	}
	return l(file, false)
}
