// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestAFloodedLogStaysWithinTwoFilesOfFiveMebibytes(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0, "log-level=TRACE")
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan struct{})
	go func() { defer close(running); h.Run(ctx) }()
	defer func() { cancel(); <-running }()

	log, oldLog := c.slot.dir.Log(), c.slot.dir.OldLog()
	flood := func() error {
		for i := range 100 { // one name again and again is one that the kernel may believe to be there still
			path := filepath.Join(c.Mountpoint(), fmt.Sprint("flood", i))
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		return nil
	}
	const wanted = 3
	rotations, largest := 0, int64(0)
	var last os.FileInfo
	for rotations < wanted {
		if err := testcluster.Within(patience, flood); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(oldLog); err == nil && (last == nil || !os.SameFile(info, last)) {
			rotations++
			last = info
		}
		largest = max(largest, size(log)+size(oldLog))
	}
	t.Logf("%d rotations, at most %d KiB at once during the flood", rotations, largest>>10)
	if largest > 3*clientlog.MaxSize { // two, and room for a machine that is busy with other tests
		t.Errorf("%d bytes at once", largest)
	}
	testcluster.Eventually(t, patience, func() error {
		if size(oldLog) > clientlog.MaxSize || size(log) > clientlog.MaxSize {
			return fmt.Errorf("%d and %d bytes after the flood", size(log), size(oldLog))
		}
		return nil
	})
	if err := c.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestADetachedClientOpensTheNewLogToo(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0, "log-level=DEBUG")
	root, err := os.Open(c.Mountpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if err := h.detachStarted(cancelled(t)); err == nil {
		t.Error("it did not say that the process still runs")
	}
	log := c.slot.dir.Log()
	if err := os.Truncate(log, clientlog.MaxSize); err != nil {
		t.Fatal(err)
	}
	h.rotateLogs(t.Context())
	testcluster.Eventually(t, patience, func() error {
		if err := testcluster.Within(patience, func() error { _, err := root.Stat(); return err }); err != nil {
			return err
		}
		if size(log) == 0 {
			return fmt.Errorf("%s is empty", log)
		}
		return nil
	})
}

// A client that could not be moved to a control group of its own has a mount namespace of its own all the same.
func TestAClientInAnotherMountNamespaceOpensTheNewLogToo(t *testing.T) {
	dir, path := t.TempDir(), clustersPath(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	cmd, lines := startHelper(t, dir, path, unix.CLONE_NEWNS)
	if !lines.Scan() {
		t.Fatal("the helper failed")
	}
	pid, isReady := statedir.StartOf(lines.Text()).ReadyPID()
	if !isReady {
		t.Fatalf("no client at %q", lines.Text())
	}
	defer killHelper(t, cmd)
	defer kill(t, pid)
	h := hostIn(t, dir, gluster.WatchClusters(t.Context(), path, nil))
	s := h.slot(gv0, nil)
	do(t, os.Truncate(s.dir.Log(), clientlog.MaxSize))
	h.rotateLogs(t.Context())
	testcluster.Eventually(t, patience, func() error {
		all, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range all {
			if target, _ := os.Readlink(fd); target == s.dir.Log() {
				return nil
			}
		}
		return fmt.Errorf("process %d does not have its new log open: %w", pid, err)
	})
}

func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// size is that of a file, 0 if it is missing.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
