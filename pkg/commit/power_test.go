// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestWhatWasCommittedSurvivesTheLossOfPower cuts the power of all servers right after Commit has returned, and, to
// show that it was Commit, without it.
func TestWhatWasCommittedSurvivesTheLossOfPower(t *testing.T) {
	for name, options := range shapes {
		for _, kind := range []testcluster.FileSystem{testcluster.XFS, testcluster.Ext4} {
			t.Run(fmt.Sprintf("%s on %s", name, kind), func(t *testing.T) {
				options.FileSystem = kind
				c := testcluster.New(t, options)
				g := mountGV0(t, c)
				g.mustCommit() // so that the files are there, as usual
				t.Run("committed", func(t *testing.T) {
					for round := range 2 {
						if lost := g.operateAndCut(t, fmt.Sprint("committed", round), true); len(lost) > 0 {
							t.Errorf("lost:\n%s", strings.Join(lost, "\n"))
						}
					}
				})
				t.Run("not committed", func(t *testing.T) {
					// By chance the kernel writes a log by itself in between.
					for round := range 5 {
						lost := g.operateAndCut(t, fmt.Sprint("lost", round), false)
						if bricksIn(lost) == c.Bricks("gv0") {
							return
						}
						t.Logf("lost:\n%s", strings.Join(lost, "\n"))
					}
					t.Error("not every brick has lost something, so this test shows nothing")
				})
			})
		}
	}
}

// operateAndCut returns what the bricks have no more after the loss of power at these servers, or at all.
func (g *mounted) operateAndCut(t *testing.T, name string, commit bool, servers ...int) (lost []string) {
	t.Helper()
	if err := everyOperation(g.path, name); err != nil {
		t.Fatal(err)
	}
	if commit {
		if err := g.commit(); err != nil {
			t.Fatal(err)
		}
	}
	all := slices.DeleteFunc(numbered(g.cluster.Bricks("gv0")), func(i int) bool { // those that are down lose nothing
		return testcluster.Connected(g.path, "gv0", i) != nil
	})
	var before []map[string]string
	for _, i := range all {
		before = append(before, onBrick(t, g.cluster, i, name))
	}
	if len(servers) == 0 {
		servers = numbered(len(g.cluster.Servers()))
	}
	if err := g.cluster.PowerCut(servers...); err != nil {
		t.Fatal(err)
	}
	for n, i := range all {
		for _, each := range differences(before[n], onBrick(t, g.cluster, i, name)) {
			lost = append(lost, fmt.Sprintf("brick %d: %s", i, each))
		}
	}
	g.connected(all...)
	return lost
}

// bricksIn is how many bricks have lost something.
func bricksIn(lost []string) int {
	bricks := map[string]bool{}
	for _, each := range lost {
		brick, _, _ := strings.Cut(each, ":")
		bricks[brick] = true
	}
	return len(bricks)
}
