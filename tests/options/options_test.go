// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package options is how the driver serves a Gluster volume that is set as people set theirs: the operator's story, by
// the calls that Kubernetes makes, with each set of options on one gv0. docs/install.md has the table.
//
//	go test ./tests/options -args -options.full   # make test-options: all of the table, with csi-sanity
package options

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

var full = flag.Bool("options.full", false, "the whole table, with csi-sanity; without, some of it")

// settles is how long bricks may take to do as they are told, and rowLimit all that is done with one row.
const (
	settles  = 20 * time.Second
	rowLimit = 2 * time.Minute
)

func TestOptionsAsPeopleSetThem(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	w := world{cluster: c, driver: filepath.Join(c.Dir(), "glusterfs-csi"), sanity: filepath.Join(c.Dir(), "sanity.test")}
	if err := errors.Join(openUp(c.Dir()), testdriver.Build(t.Context(), w.driver, testdriver.Source, false)); err != nil {
		t.Fatal(err)
	}
	if *full {
		output, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", w.sanity, "../sanity").CombinedOutput()
		if err != nil {
			t.Fatalf("build csi-sanity: %v\n%s", err, output)
		}
	}
	var table strings.Builder
	for i, r := range rows {
		if !*full && !r.short {
			continue
		}
		t.Run(r.options, func(t *testing.T) {
			w.try(t, fmt.Sprint("row", i), r)
			fmt.Fprintf(&table, "| `%s` | %s |\n", r.options, r.outcome)
		})
	}
	t.Logf("What was tried:\n%s", &table)
}

// The documentation says of each what this test has found.
func TestTheTableIsDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		kind, _, _ := strings.Cut(r.outcome, ":")
		line := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(r.options) + "` \\| " + kind + `\b`)
		if !line.Match(data) {
			t.Errorf("docs/install.md does not say that `%s` %s", r.options, r.outcome)
		}
	}
}

// world is what all rows share.
type world struct {
	cluster        *testcluster.Cluster
	driver, sanity string // binaries
}

// try sets gv0 as a row says, plays the story, and sets it back; what was refused is there then.
func (w world) try(t *testing.T, name string, r row) {
	ctx, cancel := context.WithTimeout(t.Context(), rowLimit)
	defer cancel()
	arguments, err := r.arguments()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.cluster.Gluster(append([]string{"volume", "set", "gv0"}, arguments...)...); err != nil {
		t.Fatal(err)
	}
	p := w.start(ctx, t, name)
	testcluster.Eventually(t, settles, func() error { return p.comesTo(ctx, r.outcome) })
	if !strings.HasPrefix(r.outcome, "refused") {
		p.story(ctx, name+"-set")
		if *full {
			w.runSanity(ctx, t, p.Endpoint())
		}
	}
	if _, err := w.cluster.Gluster("volume", "reset", "gv0"); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, settles, func() error { return p.comesTo(ctx, works) })
	p.story(ctx, name+"-reset")
	p.nothingIsLeft()
}

// start runs a driver whose clients are started with the options as they are now.
func (w world) start(ctx context.Context, t *testing.T, name string) *player {
	t.Helper()
	dir := filepath.Join(w.cluster.Dir(), name)
	clusters := filepath.Join(dir, "clusters.yaml")
	if err := errors.Join(os.Mkdir(dir, 0o755), w.cluster.ClustersFile(clusters)); err != nil {
		t.Fatal(err)
	}
	d, err := testdriver.Start(ctx, w.driver, dir, clusters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.Stop(), endClients(d.State())); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(d.Log()); t.Failed() {
			t.Logf("the driver's log (%v):\n%s", err, log)
		}
	})
	return &player{Driver: d, t: t, brick: w.cluster.BrickPath("gv0", 0)}
}

// endClients detaches what clients of a driver that has ended have mounted: they end by themselves then.
func endClients(state string) error {
	entries, err := mount.List()
	for _, e := range entries {
		if strings.HasPrefix(e.Target, state+"/") {
			err = errors.Join(err, mount.Detach(e.Target))
		}
	}
	return err
}

// runSanity runs csi-sanity, all of it, on a driver.
func (w world) runSanity(ctx context.Context, t *testing.T, endpoint string) {
	t.Helper()
	suite := exec.CommandContext(ctx, w.sanity, "-test.v", "-test.run", "^TestSanity$")
	suite.Env = append(os.Environ(), "SANITY_ENDPOINT="+endpoint)
	output, err := suite.CombinedOutput()
	ran := regexp.MustCompile(`Ran \d+ of \d+ Specs: \d+ passed, \d+ failed`).Find(output)
	if err != nil || ran == nil {
		t.Errorf("csi-sanity: %v\n%s", err, output)
	}
	t.Logf("csi-sanity: %s", ran)
}

// openUp lets uid 1001 walk to the pods' directories; the way there is made for root alone.
func openUp(dir string) error {
	var err error
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		err = errors.Join(err, os.Chmod(dir, 0o755))
	}
	return errors.Join(err, os.Chmod(os.TempDir(), 0o755))
}
