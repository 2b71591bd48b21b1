// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

var gv0 = clients.GV0()

func TestMain(m *testing.M) {
	container.Main(clients.Verbs())
	testcluster.Main(m)
}

// run looks after the clients of a Host until the test ends.
func run(t *testing.T, h *client.Host) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	running.Go(func() { New(h, nil).Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

func TestWhatAClientHadMountedIsRepairedInsideRunningContainers(t *testing.T) {
	cluster := testcluster.Shared(t, testcluster.Options{})
	h := clients.NewHost(t, clients.ClustersFile(t, cluster.Servers()))
	run(t, h)
	c := clients.Ensure(t, h, gv0)
	clients.MakeFile(t, c, "repair/sub")
	clients.MakeFile(t, c, "repair/数据\u3000目录")
	targets := map[string]string{
		"directory": clients.Bind(t, c, "/repair", 0), "read-only": clients.Bind(t, c, "/repair", mount.ReadOnly|mount.NoSuid),
		"subPath": clients.Bind(t, c, "/repair/sub", mount.NoExec), "subPath of a file": clients.Bind(t, c, "/repair/sub/file", 0),
		"blank of another kind": clients.Bind(t, c, "/repair/数据\u3000目录", mount.ReadOnly|mount.NoSuid),
	}
	paths := map[string]string{
		"directory": "sub/file", "read-only": "sub/file", "subPath": "file", "subPath of a file": "", "blank of another kind": "file",
	}
	pod := clients.NewContainer(t) // it has all of them from the start
	for name, target := range targets {
		if got := pod.Does("read", filepath.Join(target, paths[name])); got != `"data" <nil>` {
			t.Fatalf("%s: %s", name, got)
		}
	}
	before := flagsAt(t, targets)

	for range 2 { // a repaired mount can be repaired again
		old := h.Running()[0]
		began := time.Now()
		clients.Signal(t, old, unix.SIGKILL)
		for name, target := range targets {
			testcluster.Eventually(t, clients.Patience, func() error {
				if got := pod.Does("read", filepath.Join(target, paths[name])); got != `"data" <nil>` {
					return fmt.Errorf("%s: %s", name, got)
				}
				return nil
			})
		}
		t.Logf("all readable again in the same process %v after the kill", time.Since(began).Round(time.Millisecond))
		// Nothing of the dead client is left anywhere, nor remembered.
		testcluster.Eventually(t, clients.Patience, func() error {
			if n := keptMounts(t, h); n > 0 {
				return fmt.Errorf("%d dead devices are left", n)
			}
			return nil
		})
		if after := flagsAt(t, targets); after != before {
			t.Errorf("the mounts are %s, were %s", after, before)
		}
		if got := pod.Does("write", filepath.Join(targets["directory"], "new")); got != `"" <nil>` {
			t.Errorf("writing: %s", got)
		}
		if got := pod.Does("write", filepath.Join(targets["read-only"], "new")); !strings.Contains(got, "read-only file system") {
			t.Errorf("writing through the read-only mount: %s", got)
		}
	}
}

// A client that is told to end unmounts its own mount before it does.
func TestAClientThatEndsByItselfIsRepaired(t *testing.T) {
	h := clients.SharedHost(t)
	run(t, h)
	c := clients.Ensure(t, h, gv0)
	clients.MakeFile(t, c, "told")
	target := clients.Bind(t, c, "/told", 0)
	pod := clients.NewContainer(t)
	clients.Signal(t, c, unix.SIGTERM)
	testcluster.Eventually(t, clients.Patience, func() error {
		if at, err := mount.At(c.Mountpoint()); err != nil || len(at) > 0 || !c.HasEnded() {
			return fmt.Errorf("it has ended: %t, with %d mounts, %w", c.HasEnded(), len(at), err)
		}
		return nil
	})
	testcluster.Eventually(t, clients.Patience, func() error {
		if got := pod.Does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
	testcluster.Eventually(t, clients.Patience, func() error {
		if n := keptMounts(t, h); n > 0 {
			return fmt.Errorf("%d dead devices are left", n)
		}
		return nil
	})
}

// keptMounts is how many dead devices a host remembers.
func keptMounts(t *testing.T, h *client.Host) int {
	t.Helper()
	kept, err := h.KeptMounts()
	if err != nil {
		t.Fatal(err)
	}
	return len(kept)
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
	clusters := clients.ClustersFile(t, cluster.Servers())
	state := t.TempDir()
	old := clients.HostIn(t, state, clusters)
	c := clients.Ensure(t, old, gv0)
	clients.MakeFile(t, c, "restart")
	target := clients.Bind(t, c, "/restart", 0)
	pod := clients.NewContainer(t)
	clients.Kill(t, c)
	old.Close() // it never ran, so it has repaired nothing
	if got := pod.Does("read", filepath.Join(target, "file")); !strings.Contains(got, "not connected") {
		t.Fatalf("before the restart: %s", got)
	}
	// The next one was killed when it had found the client dead and repaired what the host had, so that nothing but the
	// container shows it any more.
	clients.HostIn(t, state, clusters).Close()
	if err := mount.Detach(target); err != nil {
		t.Fatal(err)
	}
	host := clients.HostIn(t, state, clusters)
	if n := keptMounts(t, host); n != 1 {
		t.Errorf("%d dead devices are remembered, want 1", n)
	}
	run(t, host)
	testcluster.Eventually(t, clients.Patience, func() error {
		if got := pod.Does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
	pod.Stop() // before the new host's cleanup, which waits for the client to end
}

func TestARepairWaitsForTheServersWithoutHurry(t *testing.T) {
	cluster := testcluster.New(t, testcluster.Options{})
	h := clients.NewHost(t, clients.ClustersFile(t, cluster.Servers()))
	c := clients.Ensure(t, h, gv0)
	clients.MakeFile(t, c, "away")
	target := clients.Bind(t, c, "/away", 0)
	pod := clients.NewContainer(t)
	for i := range cluster.Servers() {
		if err := cluster.KillServer(i); err != nil {
			t.Fatal(err)
		}
	}
	run(t, h)
	clients.Kill(t, c)
	testcluster.Eventually(t, clients.Patience, func() error {
		if n := keptMounts(t, h); n != 1 {
			return fmt.Errorf("%d dead devices", n)
		}
		return nil
	})
	if current := h.Running(); len(current) > 0 {
		t.Errorf("a client runs without servers: %+v", current[0].Info())
	}
	for i := range cluster.Servers() {
		if err := cluster.StartServer(i); err != nil {
			t.Fatal(err)
		}
	}
	testcluster.Eventually(t, 3*clients.Patience, func() error {
		if got := pod.Does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
}

func TestAClientThatDoesNotOpenInTimeHoldsUpNothing(t *testing.T) {
	h := clients.SharedHost(t)
	c := clients.Ensure(t, h, gv0)
	root, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		t.Fatal(err)
	}
	opened := newReplacement(root)
	clients.Signal(t, c, unix.SIGSTOP)
	for _, says := range []string{"no answer", "still waiting"} {
		if _, err := opened.open("/not-known-yet"); !errors.Is(err, unix.ETIMEDOUT) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want a timeout that says %q", err, says)
		}
	}
	clients.Signal(t, c, unix.SIGCONT)
	testcluster.Eventually(t, clients.Patience, func() error {
		if _, err := opened.open("/not-known-yet"); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	opened.close()
	opened.calls.Wait()
}
