// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package dump

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/debug"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const patience = time.Minute

// planted is a name that no dump may have; a part of it is a word of its own, as spaces make one.
const planted = "salaries of 2026, confidential.ods"

// TestAClientsLogNamesNoFiles has a real client log that it cannot reach a file, by its name, and has all servers
// silent then.
func TestAClientsLogNamesNoFiles(t *testing.T) {
	c, stateDir := testcluster.New(t, testcluster.Options{}), t.TempDir()
	running := start(t, c, stateDir)
	volume := filepath.Join(running.Mountpoint(), "shop/pvc-1")
	if err := errors.Join(os.MkdirAll(volume, 0o755), os.WriteFile(filepath.Join(volume, planted), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	dir, err := os.OpenRoot(volume) // as a bind mount of it: the path to it is not looked up again
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	var asked sync.WaitGroup
	asked.Go(func() { // names that are not there, each another: the client asks the bricks for every one of them
		for i := 0; ; i++ {
			if _, err := dir.Stat(fmt.Sprint(planted, i)); !errors.Is(err, fs.ErrNotExist) {
				return
			}
		}
	})
	if err := errors.Join(c.KillBrick("gv0", 0), c.KillBrick("gv0", 1)); err != nil {
		t.Fatal(err)
	}
	asked.Wait()
	slot := filepath.Dir(filepath.Dir(running.Mountpoint()))
	testcluster.Eventually(t, patience, func() error {
		log, err := os.ReadFile(filepath.Join(slot, "log"))
		if err == nil && !strings.Contains(string(log), planted) {
			err = fmt.Errorf("the client has not named the file: %s", log)
		}
		return err
	})
	for i := range c.Servers() {
		if err := c.StopServer(i); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ContinueServer(i) }()
	}
	path := strings.TrimPrefix(slot, stateDir+"/") + "/log"
	hasNoNames(t, Host{StateDir: stateDir, MaxSize: 1 << 20}.Collect(t.Context()), path, running.Mountpoint())
	if log := file(t, Host{StateDir: stateDir, MaxSize: 1 << 20, Since: time.Now()}.Collect(t.Context()), path); log.Text != "" {
		t.Errorf("since now: %s", log.Text)
	}
	h := Host{StateDir: stateDir, MaxSize: 4 << 10}
	if log, all := file(t, h.Collect(t.Context()), path), size(h.Collect(t.Context())); log.Cut == 0 || log.Text == "" || all > int(h.MaxSize) {
		t.Errorf("%d bytes are cut off the log, and %d bytes are left of all", log.Cut, all)
	}
}

// hasNoNames wants the log of a client that was cut off its bricks, and nothing of what was planted.
func hasNoNames(t *testing.T, found answers.Dump, path, mountpoint string) {
	t.Helper()
	log := file(t, found, path)
	for _, want := range []string{"Started running", "All subvolumes are down", "LOOKUP() (transport endpoint is not connected)"} {
		if !strings.Contains(log.Text, want) {
			t.Errorf("there is no %q in\n%s", want, log.Text)
		}
	}
	if log.Reduced == 0 {
		t.Error("nothing was left out of it")
	}
	for _, f := range found.Files {
		for _, word := range strings.Fields(planted) {
			if len(word) > 3 && strings.Contains(f.Text, word) {
				t.Errorf("%s has %q:\n%s", f.Path, word, f.Text)
			}
		}
	}
	if mounts := file(t, found, "mountinfo"); !strings.Contains(mounts.Text, mountpoint) {
		t.Errorf("the client's mount is not in %s", mounts.Text)
	}
}

// start starts a client of gv0, which ends with the test.
func start(t *testing.T, c *testcluster.Cluster, stateDir string) *client.Client {
	t.Helper()
	clusters := filepath.Join(t.TempDir(), "clusters.yaml")
	if err := c.ClustersFile(clusters); err != nil {
		t.Fatal(err)
	}
	host, err := client.NewHost(stateDir, gluster.WatchClusters(t.Context(), clusters, nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	running, err := host.Ensure(ctx, gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}, nil)
	if err != nil {
		host.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		host.Close() // which has files of the client open
		if err := statedir.StartOf(running.Mountpoint()).Discard(); err != nil {
			t.Error(err)
		}
		testcluster.Eventually(t, patience, func() error {
			if !running.HasEnded() {
				return errors.New("the client runs on")
			}
			return nil
		})
	})
	return running
}

func file(t *testing.T, d answers.Dump, path string) answers.DumpFile {
	t.Helper()
	for _, f := range d.Files {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("there is no %s in %+v", path, d)
	return answers.DumpFile{}
}

func size(d answers.Dump) (bytes int) {
	for _, f := range d.Files {
		bytes += len(f.Text)
	}
	return bytes
}

// TestWhoDoesNotAnswerIsNamed asks a process that is not there, and one that never answers.
func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	host := Host{StateDir: dir, Process: "mounter", MaxSize: 1 << 20}
	missing(t, host.Collect(t.Context()), "goroutines", "no process answers")

	silent, err := net.Listen("unix", debug.Socket(dir, "mounter")) // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	found := host.Collect(t.Context())
	missing(t, found, "metrics", "deadline exceeded")
	missing(t, found, "goroutines", "deadline exceeded")
}

// TestAProcessTellsOfItself asks this one.
func TestAProcessTellsOfItself(t *testing.T) {
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	registry := prometheus.NewRegistry()
	promauto.With(registry).NewGauge(prometheus.GaugeOpts{Name: "answer", Help: "Always 42."}).Set(42)
	go func() { defer close(ended); debug.Serve(ctx, debug.Socket(dir, "node"), registry) }()
	defer func() { stop(); <-ended; _ = os.RemoveAll(dir) }()
	testcluster.Eventually(t, patience, func() error {
		found := Host{StateDir: dir, Process: "node", MaxSize: 1 << 20}.Collect(t.Context())
		if len(found.Missing) > 0 {
			return fmt.Errorf("%+v", found.Missing)
		}
		if text := file(t, found, "metrics").Text; !strings.Contains(text, "answer 42") {
			t.Errorf("metrics: %q", text)
		}
		if text := file(t, found, "goroutines").Text; !strings.Contains(text, "TestAProcessTellsOfItself") {
			t.Errorf("goroutines: %q", text)
		}
		return nil
	})
}

func missing(t *testing.T, d answers.Dump, what, why string) {
	t.Helper()
	for _, m := range d.Missing {
		if m.What == what && strings.Contains(m.Why, why) {
			return
		}
	}
	t.Errorf("%s is not said to be missing as %q: %+v", what, why, d.Missing)
}
