// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package gluster

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

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// bind shows what is at root of a client's tree at a new target.
func bind(t *testing.T, c *Client, root string, flags mount.Flags) string {
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
	target := filepath.Join(t.TempDir(), "target")
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

func runHost(t *testing.T, h *Host) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); h.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
}

func TestWhatAClientHadMountedIsRepairedInsideRunningContainers(t *testing.T) {
	cluster := testcluster.Shared(t, testcluster.Options{})
	h := newHost(t, clustersFile(t, cluster.Servers(), "gv0"))
	runHost(t, h)
	c := ensure(t, h, gv0)
	dir := filepath.Join(c.Mountpoint(), "repair", "sub")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "file"), "data")
	targets := map[string]string{
		"directory": bind(t, c, "/repair", 0), "read-only": bind(t, c, "/repair", mount.ReadOnly|mount.NoSuid),
		"subPath": bind(t, c, "/repair/sub", mount.NoExec), "subPath of a file": bind(t, c, "/repair/sub/file", 0),
	}
	paths := map[string]string{
		"directory": "sub/file", "read-only": "sub/file", "subPath": "file", "subPath of a file": "",
	}
	pod := newContainer(t) // it has all of them from the start
	for name, target := range targets {
		if got := pod.does("read", filepath.Join(target, paths[name])); got != `"data" <nil>` {
			t.Fatalf("%s: %s", name, got)
		}
	}
	before := flagsAt(t, targets)

	for range 2 { // a repaired mount can be repaired again
		old := h.running()[0]
		began := time.Now()
		if err := old.process.signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for name, target := range targets {
			testcluster.Eventually(t, patience, func() error {
				if got := pod.does("read", filepath.Join(target, paths[name])); got != `"data" <nil>` {
					return fmt.Errorf("%s: %s", name, got)
				}
				return nil
			})
		}
		t.Logf("all readable again in the same process %v after the kill", time.Since(began).Round(time.Millisecond))
		// Nothing of the dead client is left anywhere, nor remembered.
		testcluster.Eventually(t, patience, func() error {
			if n := countGraves(t, h); n > 0 {
				return fmt.Errorf("%d dead devices are left", n)
			}
			return nil
		})
		if after := flagsAt(t, targets); after != before {
			t.Errorf("the mounts are %s, were %s", after, before)
		}
		if got := pod.does("write", filepath.Join(targets["directory"], "new")); got != `"" <nil>` {
			t.Errorf("writing: %s", got)
		}
		if got := pod.does("write", filepath.Join(targets["read-only"], "new")); !strings.Contains(got, "read-only file system") {
			t.Errorf("writing through the read-only mount: %s", got)
		}
	}
}

// countGraves is how many dead devices a host remembers.
func countGraves(t *testing.T, h *Host) int {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(h.dir, "*", "*", "*", gravePrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(dirs)
}

// flagsAt describes the one mount at each target.
func flagsAt(t *testing.T, targets map[string]string) string {
	t.Helper()
	text := map[string]string{}
	for name, target := range targets {
		at, err := mount.At(target)
		if err != nil || len(at) != 1 {
			t.Fatalf("%s: %d mounts at %s, %v", name, len(at), target, err)
		}
		text[name] = at[0].Root + " " + at[0].Flags.String()
	}
	return fmt.Sprint(text)
}

func TestARestartedDriverRepairsWhatDiedWithTheOldOne(t *testing.T) {
	cluster := testcluster.Shared(t, testcluster.Options{})
	clusters := clustersFile(t, cluster.Servers(), "gv0")
	state := t.TempDir()
	old := hostIn(t, state, clusters)
	c := ensure(t, old, gv0)
	if err := os.MkdirAll(filepath.Join(c.Mountpoint(), "restart"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(c.Mountpoint(), "restart", "file"), "data")
	target := bind(t, c, "/restart", 0)
	pod := newContainer(t)
	if err := c.process.end(); err != nil {
		t.Fatal(err)
	}
	old.Close() // it never ran, so it has repaired nothing
	if got := pod.does("read", filepath.Join(target, "file")); !strings.Contains(got, "not connected") {
		t.Fatalf("before the restart: %s", got)
	}
	// The next one was killed when it had found the client dead and repaired what the host had, so that nothing but the
	// container shows it any more.
	hostIn(t, state, clusters).Close()
	if err := mount.Detach(target); err != nil {
		t.Fatal(err)
	}
	host := hostIn(t, state, clusters)
	if n := countGraves(t, host); n != 1 {
		t.Errorf("%d dead devices are remembered, want 1", n)
	}
	runHost(t, host)
	testcluster.Eventually(t, patience, func() error {
		if got := pod.does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
	pod.end() // before the new host's cleanup, which waits for the client to end
}

func TestAClientThatHangsIsKilledAndRepaired(t *testing.T) {
	cluster := testcluster.Shared(t, testcluster.Options{})
	h := newHost(t, clustersFile(t, cluster.Servers(), "gv0"))
	c := ensure(t, h, gv0)
	if err := os.MkdirAll(filepath.Join(c.Mountpoint(), "hung"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(c.Mountpoint(), "hung", "file"), "data")
	target := bind(t, c, "/hung", 0)
	pod := newContainer(t)
	h.hung = time.Second
	for began := time.Now(); time.Since(began) < 2*h.hung; {
		h.Health(t.Context(), gv0) // as the watch does all the time
		h.endHung(t.Context())
		checkWorks(t, c)
	}
	if err := c.process.signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		h.Health(t.Context(), gv0)
		h.endHung(t.Context())
		if !c.process.hasExited() {
			return errors.New("it still hangs")
		}
		return nil
	})
	runHost(t, h)
	testcluster.Eventually(t, patience, func() error {
		if got := pod.does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
}

func TestARepairWaitsForTheServersWithoutHurry(t *testing.T) {
	cluster := testcluster.New(t, testcluster.Options{})
	h := newHost(t, clustersFile(t, cluster.Servers(), "gv0"))
	c := ensure(t, h, gv0)
	if err := os.MkdirAll(filepath.Join(c.Mountpoint(), "away"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(c.Mountpoint(), "away", "file"), "data")
	target := bind(t, c, "/away", 0)
	pod := newContainer(t)
	for i := range cluster.Servers() {
		if err := cluster.KillServer(i); err != nil {
			t.Fatal(err)
		}
	}
	runHost(t, h)
	if err := c.process.end(); err != nil {
		t.Fatal(err)
	}
	slot := c.slot
	testcluster.Eventually(t, patience, func() error {
		if n := countGraves(t, h); n != 1 {
			return fmt.Errorf("%d dead devices", n)
		}
		return nil
	})
	if current := slot.current(); current != nil {
		t.Errorf("a client runs without servers: %d", current.process.pid)
	}
	for i := range cluster.Servers() {
		if err := cluster.StartServer(i); err != nil {
			t.Fatal(err)
		}
	}
	testcluster.Eventually(t, 3*patience, func() error {
		if got := pod.does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
}

func TestClientsThatDieAsSoonAsTheyRunAreStartedWithoutHurry(t *testing.T) {
	s := &slot{}
	for range manyDeaths - 1 {
		if s.noteDeath(true); !s.isDue() {
			t.Fatal("it waits after a few deaths")
		}
	}
	for range 2 {
		before := s.retry.delay
		if s.noteDeath(true); s.isDue() || s.retry.delay <= before {
			t.Errorf("after many deaths it waits for %v, before for %v", s.retry.delay, before)
		}
	}
	if s.noteDeath(false); !s.isDue() || s.retry.delay != 0 {
		t.Error("it waits after the death of a client that had lived")
	}
}

func TestWhatIsSaidToStayDeadDoes(t *testing.T) {
	report := mount.Report{Stale: []mount.Stale{
		{Root: "/waits", Err: fmt.Errorf("wrapped: %w", mount.ErrNothingYet)},
		{Root: "/slow", Err: fmt.Errorf("wrapped: %w", unix.ETIMEDOUT)},
		{Root: "/removed", Target: "/data", PID: 7, Err: unix.ENOENT},
	}}
	if got := lasting(report); len(got) != 1 || !strings.HasPrefix(got[0], "/removed at /data of process 7: no such") {
		t.Errorf("got %q", got)
	}
}

func TestAClientThatDoesNotOpenInTimeHoldsUpNothing(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0)
	root, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		t.Fatal(err)
	}
	tree := newTree(root)
	if err := c.process.signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_, err = tree.open("/not-known-yet")
	checkError(t, err, unix.ETIMEDOUT, "no answer")
	_, err = tree.open("/another")
	checkError(t, err, unix.ETIMEDOUT, "still waiting")
	if err := c.process.signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		if _, err := tree.open("/not-known-yet"); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	tree.close()
	tree.calls.Wait()
}
