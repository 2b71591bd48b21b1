// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package reconnect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/repair"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
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
func run(t *testing.T, h *client.Host, r *Replacer) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	running.Go(func() { repair.New(h, nil).Run(ctx) })
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// writes writes a small file anew, and reads it.
func writes(dir string) error {
	return testcluster.Within(time.Second, func() error {
		path := filepath.Join(dir, "written")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			return err
		}
		_, err := os.ReadFile(path)
		return err
	})
}

// counted is how many trials of gv0 have had a result.
func counted(t *testing.T, r *Replacer, result string) float64 {
	t.Helper()
	var m dto.Metric
	must(t, r.trials.WithLabelValues(gv0.Cluster, gv0.Name, result).Write(&m))
	return m.GetCounter().GetValue()
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// A client that one brick after the other refuses stays disconnected for ever, or ends.
func TestWhatARefusedClientHadMountedIsBackAfterTheCure(t *testing.T) {
	for name, test := range map[string]struct {
		key, wrong, right string
		ends              bool
	}{
		"allow-insecure": {key: "server.allow-insecure", wrong: "off", right: "on"},
		"auth.reject":    {key: "auth.reject", wrong: "*", right: "10.255.255.1", ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := testcluster.New(t, testcluster.Options{})
			h := clients.NewHost(t, clients.ClustersFile(t, cluster.Servers()))
			r := soon(New(h, nil))
			run(t, h, r)
			c := clients.Ensure(t, h, gv0)
			clients.MakeFile(t, c, "volume")
			target := clients.Bind(t, c, "/volume", 0)
			pod := clients.NewContainer(t)
			must(t, writes(target), cluster.SetOption("gv0", test.key, test.wrong))
			for i := range cluster.Bricks("gv0") {
				if test.ends { // it counts for those who connect
					must(t, cluster.KillBrick("gv0", i), cluster.StartBrick("gv0", i))
				}
			}
			testcluster.Eventually(t, clients.Patience, func() error {
				without, bricks, _ := bricksOf(c.Observed(), time.Now())
				if c.HasEnded() != test.ends || !test.ends && (bricks == 0 || len(without) < bricks) {
					return fmt.Errorf("it has ended: %t, and is seen to have lost %v", c.HasEnded(), without)
				}
				return nil
			})
			must(t, cluster.SetOption("gv0", test.key, test.right))
			cured := time.Now()
			testcluster.Eventually(t, 90*time.Second, func() error { return writes(target) })
			t.Logf("written again %v after the cure", time.Since(cured).Round(time.Millisecond))
			if got := pod.Does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
				t.Errorf("in a container: %s", got)
			}
			testcluster.Eventually(t, clients.Patience, func() error {
				if kept, err := h.KeptMounts(); err != nil || len(kept) > 0 || !c.HasEnded() {
					return fmt.Errorf("of the old client are left %d mounts, and it has ended: %t, %w", len(kept), c.HasEnded(), err)
				}
				return nil
			})
			if n := counted(t, r, "replaced"); (n == 1) == test.ends {
				t.Errorf("it was replaced %v times", n)
			}
		})
	}
}

// soon makes a Replacer quick.
func soon(r *Replacer) *Replacer {
	r.interval, r.paces = time.Second, paces{pace{time.Second, time.Second}, pace{time.Second, time.Second}}
	return r
}

func TestABrickThatIsDownOrSlowReplacesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		fault, cure func(c *testcluster.Cluster) error
		trials      float64
	}{
		"one down": {
			fault:  func(c *testcluster.Cluster) error { return c.KillBrick("gv0", 0) },
			cure:   func(c *testcluster.Cluster) error { return c.StartBrick("gv0", 0) },
			trials: 2,
		},
		"all down": {
			fault:  func(c *testcluster.Cluster) error { return errors.Join(c.KillBrick("gv0", 0), c.KillBrick("gv0", 1)) },
			cure:   func(c *testcluster.Cluster) error { return errors.Join(c.StartBrick("gv0", 0), c.StartBrick("gv0", 1)) },
			trials: 2,
		},
		"one silent": {
			fault: func(c *testcluster.Cluster) error { return c.StopBrick("gv0", 0) },
			cure:  func(c *testcluster.Cluster) error { return c.ContinueBrick("gv0", 0) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := testcluster.New(t, testcluster.Options{})
			must(t, cluster.SetOption("gv0", "network.ping-timeout", "1000")) // a silent brick is not down before
			h := clients.NewHost(t, clients.ClustersFile(t, cluster.Servers()))
			r := soon(New(h, nil))
			run(t, h, r)
			c := clients.Ensure(t, h, gv0)
			clients.MakeFile(t, c, "volume")
			target := clients.Bind(t, c, "/volume", 0)
			must(t, test.fault(cluster))
			began := time.Now()
			testcluster.Eventually(t, 90*time.Second, func() error {
				trials := counted(t, r, "no better") + counted(t, r, "failed")
				if trials < test.trials || time.Since(began) < 10*time.Second { // those who have no trial have had the time for it
					return fmt.Errorf("%v trials", trials)
				}
				return nil
			})
			must(t, test.cure(cluster))
			testcluster.Eventually(t, clients.Patience, func() error { return writes(target) })
			if n := counted(t, r, "replaced"); n != 0 || c.HasEnded() {
				t.Errorf("it was replaced %v times, and has ended: %t", n, c.HasEnded())
			}
			if n := counted(t, r, "no better") + counted(t, r, "failed"); test.trials == 0 && n > 0 {
				t.Errorf("there were %v trials", n)
			}
			if running := h.Clients(); len(running) != 1 {
				t.Errorf("there are %+v", running)
			}
		})
	}
}

func TestFilesThatAreOpenStayAtTheClientThatWasReplaced(t *testing.T) {
	h := clients.SharedHost(t)
	run(t, h, New(h, nil))
	c := clients.Ensure(t, h, gv0)
	clients.MakeFile(t, c, "open")
	target := clients.Bind(t, c, "/open", 0)
	file, err := os.OpenFile(filepath.Join(target, "file"), os.O_RDWR|os.O_APPEND, 0)
	must(t, err)
	by, err := h.Replace(t.Context(), c, func(*meta.Reading, *meta.Reading) bool { return true })
	must(t, err)
	testcluster.Eventually(t, clients.Patience, func() error {
		if at, err := mount.At(target); err != nil || len(at) != 1 || at[0].Device != by.Device() {
			return fmt.Errorf("at the target is %+v, %w", at, err)
		}
		return nil
	})
	_, err = file.WriteString(" and more")
	must(t, err, file.Sync(), writes(target))
	if data, err := os.ReadFile(filepath.Join(target, "file")); string(data) != "data and more" {
		t.Errorf("it is %q, %v", data, err)
	}
	testcluster.Eventually(t, clients.Patience, func() error {
		if kept, err := h.KeptMounts(); err != nil || len(kept) > 0 {
			return fmt.Errorf("%d mounts are left, %w", len(kept), err)
		}
		return nil
	})
	if c.HasEnded() {
		t.Error("it has ended while a file is open")
	}
	must(t, file.Close())
	testcluster.Eventually(t, clients.Patience, func() error {
		if !c.HasEnded() {
			return errors.New("it runs")
		}
		return nil
	})
}

// A trial of a client that settles a split-brain would be another one that does so, and nobody asked for it.
func TestClientsOfOneTaskAreNotReplaced(t *testing.T) {
	h := clients.SharedHost(t)
	want := clients.Ensure(t, h, gv0)
	settling, err := h.EnsureSettling(t.Context(), gv0, gluster.ByMtime)
	must(t, err)
	oneSided, err := h.EnsureOneSide(t.Context(), gv0, []string{"gv0-client-1"})
	must(t, err)
	privileged, err := h.EnsurePrivileged(t.Context(), gv0)
	must(t, err)
	r := New(h, nil)
	r.round(t.Context())
	for name, c := range map[string]*client.Client{"settles": settling, "has one side": oneSided, "sets limits": privileged} {
		if r.outages[c] != nil {
			t.Errorf("the client that %s may be replaced", name)
		}
	}
	if r.outages[want] == nil {
		t.Error("the usual client is not looked after")
	}
}
