// SPDX-License-Identifier: Apache-2.0

package programs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// emptyWithin is how long a process that has ended may still be in its control group.
const emptyWithin = 30 * time.Second

// InControlGroup puts processes into a control group of some hierarchy of this machine. They are killed, and it is removed, when the test ends.
func InControlGroup(t testing.TB, group string, pids ...int) {
	t.Helper()
	InControlGroupUntil(t, group, func() {
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // one that has ended is not reaped before the test ends
		}
	}, pids...)
}

// InControlGroupUntil is InControlGroup for processes that are ended in another way.
func InControlGroupUntil(t testing.TB, group string, end func(), pids ...int) {
	t.Helper()
	entries, err := mount.List()
	if err != nil {
		t.Fatal(err)
	}
	tried := errors.New("no hierarchy of control groups is mounted")
	for _, e := range entries {
		if e.FSType != "cgroup2" && (e.FSType != "cgroup" || filepath.Base(e.Target) != "pids") {
			continue
		}
		dir := filepath.Join(e.Target, group)
		t.Cleanup(func() {
			end()
			for d := dir; d != e.Target; d = filepath.Dir(d) {
				testcluster.Eventually(t, emptyWithin, func() error { return remove(d) })
			}
		})
		err := os.MkdirAll(dir, 0o755)
		for _, pid := range pids {
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)
			}
		}
		if err == nil {
			return
		}
		tried = errors.Join(tried, err)
	}
	t.Fatal(tried)
}

// remove removes a control group, unless there are others in it.
func remove(group string) error {
	err := os.Remove(group)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	below, errRead := os.ReadDir(group)
	for _, entry := range below {
		if entry.IsDir() {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("remove %s: %w", group, err), errRead)
}
