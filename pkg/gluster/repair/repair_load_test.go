// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// numbers are those that progress, or stop, has printed.
func numbers(t *testing.T, said string) (acknowledged, failed int) {
	t.Helper()
	if _, err := fmt.Sscanf(said, `"%d %d"`, &acknowledged, &failed); err != nil {
		t.Fatalf("%s: %v", said, err)
	}
	return acknowledged, failed
}

func TestARepairUnderLoad(t *testing.T) { repairUnderLoad(t, 1) }

// Without MOVE_MOUNT_BENEATH a repair mounts on top of the dead one, and never on two.
func TestARepairUnderLoadOnLinux6_4(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux6_4, func(t *testing.T) { repairUnderLoad(t, 2) })
}

// repairUnderLoad kills the client three times under writers in namespaces of their own. Each target has so many mounts
// after each repair.
func repairUnderLoad(t *testing.T, mounts int) {
	t.Helper()
	cluster := testcluster.Shared(t, testcluster.Options{})
	h := clients.NewHost(t, clients.ClustersFile(t, cluster.Servers()))
	run(t, h)
	c := clients.Ensure(t, h, gv0)
	const writers, kills = 4, 3
	var targets []string
	var all []clients.Container
	for i := range writers {
		name := fmt.Sprintf("load%d-%d", mounts, i)
		if err := os.MkdirAll(filepath.Join(c.Mountpoint(), name), 0o755); err != nil {
			t.Fatal(err)
		}
		targets = append(targets, clients.Bind(t, c, "/"+name, 0))
		all = append(all, clients.NewContainer(t))
	}
	for i, w := range all {
		w.Does("load", filepath.Join(targets[i], "log"))
	}
	for range kills {
		errorsBefore := make([]int, writers)
		for i, w := range all {
			_, errorsBefore[i] = numbers(t, strings.TrimSuffix(w.Does("progress", ""), " <nil>"))
		}
		began := time.Now()
		clients.Signal(t, h.Running()[0], unix.SIGKILL)
		for i, w := range all {
			when := -1 // how many records there were when the writer had met the death
			testcluster.Eventually(t, clients.Patience, func() error {
				records, failed := numbers(t, strings.TrimSuffix(w.Does("progress", ""), " <nil>"))
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
		for _, target := range targets {
			testcluster.Eventually(t, time.Minute, func() error { // on a busy machine who writes is before the rest of the round
				if at, err := mount.At(target); len(at) != mounts || !h.Serves(at[len(at)-1].Device) {
					return errors.Join(err, fmt.Errorf("%d mounts at %s, want %d", len(at), target, mounts))
				}
				return nil
			})
		}
	}
	for i, w := range all {
		acknowledged, failed := numbers(t, strings.TrimSuffix(w.Does("stop", ""), " <nil>"))
		t.Logf("writer %d: %d records, %d errors", i, acknowledged, failed)
		checkRecords(t, filepath.Join(targets[i], "log"), acknowledged)
		w.Stop()
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
