// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// helperVariable makes the test binary a process that starts a client and then waits to be killed; see helper.
const helperVariable = "GLUSTER_TEST_HELPER"

func TestMain(m *testing.M) {
	container.Main(nil)
	if arguments := os.Getenv(helperVariable); arguments != "" {
		helper(arguments)
	}
	testcluster.Main(m)
}

var gv0 = gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}

// patience is how long a test waits for what should take milliseconds, on a machine that is busy with other tests.
const patience = 30 * time.Second

// clustersFile is a watched clusters file with one cluster.
func clustersFile(t *testing.T, servers []string, volumes ...string) *gluster.ClustersFile {
	t.Helper()
	return gluster.WatchClusters(t.Context(), clustersPath(t, servers, volumes...), nil)
}

// clustersPath is that of a clusters file with one cluster.
func clustersPath(t *testing.T, servers []string, volumes ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	writeFile(t, path, fmt.Sprintf("clusters:\n- name: %s\n  servers: [%s]\n  volumes: [%s]\n",
		testcluster.Name, strings.Join(servers, ", "), strings.Join(volumes, ", ")))
	return path
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// newHost returns a Host with a state directory of its own. When the test ends, all clients there are detached and
// must end.
func newHost(t *testing.T, clusters *gluster.ClustersFile) *Host {
	t.Helper()
	return hostIn(t, t.TempDir(), clusters)
}

func hostIn(t *testing.T, dir string, clusters *gluster.ClustersFile) *Host {
	t.Helper()
	h, err := NewHost(dir, clusters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endClients(t, h) })
	return h
}

// endClients detaches every client and waits until they have ended.
func endClients(t *testing.T, h *Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, c := range h.Running() {
		if _, err := c.slot.detachIdle(ctx, 0); err != nil {
			t.Error(err)
		}
		testcluster.Eventually(t, patience, func() error {
			if !c.process.HasExited() && from(&c.slot.state, (*slotState).latest) == nil {
				return fmt.Errorf("client process %d still runs", c.process.PID)
			}
			return nil
		})
	}
	h.Close()
	forgetDead(t, h)
}

// forgetDead detaches the own mounts of clients that died, as a repair does when nothing else shows them.
func forgetDead(t *testing.T, h *Host) {
	t.Helper()
	kept, err := h.KeptMounts()
	for _, k := range kept {
		err = errors.Join(err, h.Discard(k))
	}
	if err != nil {
		t.Error(err)
	}
}

func ensure(t *testing.T, h *Host, v gluster.Volume, options ...string) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := h.Ensure(ctx, v, options)
	if err != nil {
		t.Fatalf("Ensure(%s, %v): %v", v, options, err)
	}
	return c
}

// checkWorks writes and reads a file through a client.
func checkWorks(t *testing.T, c *Client) {
	t.Helper()
	err := testcluster.Within(patience, func() error {
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

// processCount is the number of clients that run with mount points below the Host's directory.
func processCount(t *testing.T, h *Host) int {
	t.Helper()
	processes, err := process.Find()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for mountpoint := range processes {
		if h.Owns(mountpoint) {
			n++
		}
	}
	return n
}

// mountsOfOne are a client's own mount and the spare one.
const mountsOfOne = 2

// mountCount is the number of mounts below the Host's directory, but for those of clients that are known to be dead.
func mountCount(t *testing.T, h *Host) int {
	t.Helper()
	entries, err := mount.List()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if h.Owns(e.Target) && !strings.Contains(e.Target, "/dead-") {
			n++
		}
	}
	return n
}

// checkNothingLeft makes sure that a failed start, or a detached client, left no process, mount or mount point.
func checkNothingLeft(t *testing.T, h *Host) {
	t.Helper()
	testcluster.Eventually(t, patience, func() error {
		starts, err := filepath.Glob(filepath.Join(string(h.root), "*", "*", "*", "start-*"))
		if err != nil || len(starts) > 0 || processCount(t, h) > 0 || mountCount(t, h) > 0 {
			return fmt.Errorf("left: directories %v, %d processes, %d mounts, %w", starts, processCount(t, h), mountCount(t, h), err)
		}
		return nil
	})
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 { // 0 would be this process's group
		t.Fatalf("no such client: pid %d", pid)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func checkError(t *testing.T, err, want error, mentions ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
	for _, text := range mentions {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not mention %q: %v", text, err)
		}
	}
}

// do fails the test at the first error.
func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// bind shows a directory of a client's tree, which it makes, at a new target.
func bind(t *testing.T, c *Client, directory string) (target string) {
	t.Helper()
	path := filepath.Join(c.Mountpoint(), directory)
	do(t, os.MkdirAll(path, 0o755))
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	do(t, err)
	target = t.TempDir()
	do(t, mount.Bind(fd, target, 0), unix.Close(fd))
	t.Cleanup(func() {
		if err := mount.Detach(target); err != nil {
			t.Error(err)
		}
	})
	return target
}
