// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package gluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// writer appends numbered lines to a file, each synced before the next, and opens it again after an error: an application.
type writer struct {
	acknowledged, errors atomic.Int64
	stopping, stopped    chan struct{}
}

func startWriter(path string) *writer {
	w := &writer{stopping: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(w.stopped)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			if err := w.write(path, ticker.C); err == nil {
				return
			}
			w.errors.Add(1)
			<-ticker.C
		}
	}()
	return w
}

// write returns nil when it was told to stop.
func (w *writer) write(path string, pace <-chan time.Time) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		select {
		case <-w.stopping:
			return nil
		case <-pace:
		}
		// On a line of its own, whatever became of the one before.
		_, err := fmt.Fprintf(f, "\n%d\n", w.acknowledged.Load())
		if err := errors.Join(err, f.Sync()); err != nil {
			return err
		}
		w.acknowledged.Add(1)
	}
}

func (w *writer) progress() []byte {
	failed := w.errors.Load() // first, so that what is acknowledged is not older
	return fmt.Appendf(nil, "%d %d", w.acknowledged.Load(), failed)
}

func (w *writer) stop() []byte {
	close(w.stopping)
	<-w.stopped
	return w.progress()
}

// numbers are those that progress, or stop, has printed.
func numbers(t *testing.T, said string) (acknowledged, failed int) {
	t.Helper()
	if _, err := fmt.Sscanf(said, `"%d %d"`, &acknowledged, &failed); err != nil {
		t.Fatalf("%s: %v", said, err)
	}
	return acknowledged, failed
}

func TestARepairUnderLoad(t *testing.T) { repairUnderLoad(t, 1, 1) }

// Without MOVE_MOUNT_BENEATH each repair adds a mount on top of the dead one.
func TestARepairUnderLoadOnLinux6_4(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux6_4, func(t *testing.T) { repairUnderLoad(t, 2, 4) })
}

// repairUnderLoad kills the client three times under writers in namespaces of their own. first and last are the number of mounts
// that each target has after the first repair and the last.
func repairUnderLoad(t *testing.T, first, last int) {
	t.Helper()
	cluster := testcluster.Shared(t, testcluster.Options{})
	h := newHost(t, clustersFile(t, cluster.Servers(), "gv0"))
	runHost(t, h)
	c := ensure(t, h, gv0)
	const writers, kills = 4, 3
	var targets []string
	var all []*container
	for i := range writers {
		name := fmt.Sprintf("load%d-%d", last, i)
		if err := os.MkdirAll(filepath.Join(c.Mountpoint(), name), 0o755); err != nil {
			t.Fatal(err)
		}
		targets = append(targets, bind(t, c, "/"+name, 0))
		all = append(all, newContainer(t))
	}
	for i, w := range all {
		w.does("load", filepath.Join(targets[i], "log"))
	}
	for kill := range kills {
		errorsBefore := make([]int, writers)
		for i, w := range all {
			_, errorsBefore[i] = numbers(t, strings.TrimSuffix(w.does("progress", ""), " <nil>"))
		}
		began := time.Now()
		if err := h.running()[0].process.signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for i, w := range all {
			when := -1 // how many records there were when the writer had met the death
			testcluster.Eventually(t, patience, func() error {
				records, failed := numbers(t, strings.TrimSuffix(w.does("progress", ""), " <nil>"))
				if when < 0 && failed > errorsBefore[i] {
					when = records
				}
				if when < 0 || records == when {
					return fmt.Errorf("writer %d: %d records, %d errors, %d before", i, records, failed, errorsBefore[i])
				}
				return nil
			})
		}
		t.Logf("all write again %v after the kill", time.Since(began).Round(time.Millisecond))
		want := first + kill*(last-first)/(kills-1)
		for _, target := range targets {
			if at, err := mount.At(target); len(at) != want || !h.Serves(at[len(at)-1].Device) {
				t.Errorf("%d mounts at %s, %v, want %d", len(at), target, err, want)
			}
		}
	}
	for i, w := range all {
		acknowledged, failed := numbers(t, strings.TrimSuffix(w.does("stop", ""), " <nil>"))
		t.Logf("writer %d: %d records, %d errors", i, acknowledged, failed)
		checkRecords(t, filepath.Join(targets[i], "log"), acknowledged)
		w.end()
		if err := mount.Detach(targets[i]); err != nil {
			t.Fatal(err)
		}
		// At no moment was the place of the mount empty.
		if below, err := os.ReadDir(targets[i]); err != nil || len(below) > 0 {
			t.Errorf("on the host's own disk is %v, %v", below, err)
		}
	}
}

func checkRecords(t *testing.T, path string, acknowledged int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		found[strings.TrimSpace(line)] = true
	}
	for i := range acknowledged {
		if !found[fmt.Sprint(i)] {
			t.Errorf("%s lacks record %d of %d", path, i, acknowledged)
		}
	}
}
