// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package power takes the power from servers after, and within, whatever changes a Gluster volume, and looks at what is
// left: nothing that was acknowledged is lost or undone, and the repetition of what was not comes to one correct end.
//
// What is tested is a table: operations (operations.go) × named points × which servers lose their power × kinds of
// volume × file systems. A new operation is a row.
package power

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const patience = 30 * time.Second

var full = flag.Bool("power.full", false, "all kinds of volumes on both file systems, and every point, not a choice of them")

func TestMain(m *testing.M) { testcluster.Main(m) }

// world is a kind of Gluster volume to lose power under.
type world struct {
	name    string
	options testcluster.Options
}

// worlds are the kinds of volumes; a choice of them that has each kind and each file system, unless all are asked for.
func worlds() (all []world) {
	for i, shape := range []world{
		{"replica 2", testcluster.Options{}}, {"arbiter", testcluster.Options{Arbiter: true}}, {"2x2", testcluster.Options{Subvolumes: 2}},
	} {
		for j, kind := range []testcluster.FileSystem{testcluster.XFS, testcluster.Ext4} {
			if *full || i%2 == j {
				shape.options.FileSystem = kind
				all = append(all, world{fmt.Sprintf("%s on %s", shape.name, kind), shape.options})
			}
		}
	}
	return all
}

const everyServer = "every server"

// outages are which servers lose their power, of all.
var outages = []struct {
	name    string
	servers func(all int) []int
}{
	{everyServer, func(all int) (servers []int) {
		for i := range all {
			servers = append(servers, i)
		}
		return servers
	}},
	{"the first server", func(int) []int { return []int{0} }},
	{"the last server", func(all int) []int { return []int{all - 1} }},
}

func TestLossOfPower(t *testing.T) {
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) {
			c := testcluster.New(t, w.options)
			g := mountGV0(t, c)
			for _, o := range operations {
				for _, outage := range outages {
					points := []string{acknowledged}
					if *full || outage.name == everyServer {
						points = append(points, o.points...)
					}
					for _, point := range points {
						t.Run(fmt.Sprintf("%s/%s/%s", o.name, outage.name, point), func(t *testing.T) {
							g.loses(t, o, point, outage.servers(len(c.Servers())))
						})
					}
				}
			}
		})
	}
}

// loses runs an operation up to a point, cuts the power, and judges what is left: as it is if the operation was
// acknowledged, after its repetition if not.
func (g *gv0) loses(t *testing.T, o operation, point string, servers []int) {
	t.Helper()
	g.rounds++
	name := fmt.Sprintf("op%d", g.rounds)
	run := o.prepare(t, g, name)
	err := run(func(at string) bool { return at == point })
	if point == acknowledged && err != nil || point != acknowledged && !errors.Is(err, errCut) {
		t.Fatalf("up to %q: %v", point, err)
	}
	if err := g.cluster.PowerCut(servers...); err != nil {
		t.Fatal(err)
	}
	g.connected(t)
	if point != acknowledged {
		testcluster.Eventually(t, patience, func() error { return run(never) })
		// A name that one brick forgot comes back with the next lookup; one that an arbiter's forgot when GlusterFS is
		// told to look at everything.
		testcluster.Eventually(t, patience, func() error { _, err := g.cluster.Gluster("volume", "heal", "gv0", "full"); return err })
	}
	g.check(t, o, name)
}

// check looks at the mount, and at each brick: what it has must be all, and at one path.
func (g *gv0) check(t *testing.T, o operation, name string) {
	t.Helper()
	testcluster.Eventually(t, patience, func() error {
		errs := []error{o.done(g.path, name)}
		for i := range g.bricks {
			brick := g.cluster.BrickPath("gv0", i)
			errs = append(errs, twice(brick))
			if o.onEveryBrick {
				errs = append(errs, wrap(fmt.Sprintf("brick %d", i), o.done(brick, name)))
			}
		}
		return errors.Join(errs...)
	})
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// twice returns an error where a brick has one directory at two paths, as after the loss of a rename: GlusterFS keeps a
// link to the path of each directory, by its gfid, and only one of the two paths is it.
func twice(brick string) error {
	seen := map[string]string{}
	return filepath.WalkDir(brick, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return ignoreNotExist(err)
		}
		if rel, _ := filepath.Rel(brick, path); rel == ".glusterfs" || strings.HasPrefix(rel, ".glusterfs-csi/commit") {
			return filepath.SkipDir
		}
		gfid, err := gfidOnBrick(path)
		if err != nil {
			return ignoreNotExist(err)
		}
		if other := seen[gfid]; other != "" {
			return fmt.Errorf("%s and %s are one directory, %x", other, path, gfid)
		}
		seen[gfid] = path
		return nil
	})
}
