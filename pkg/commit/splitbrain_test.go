// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// splits are what there is of the driver's directory when the cable between the two servers is cut, and what is in
// split-brain when it is whole again: what both sides have made, or have changed.
var splits = map[string]struct {
	before string
	split  string
}{
	"the file":                     {"commit/0/0", "commit/0/0"},
	"the file, made on both sides": {"commit/0", "commit/0/0"},
	"its directory":                {"commit", "commit/0"},
	"the directory of all":         {"", "commit"},
}

func TestWhatIsInSplitBrainIsReplaced(t *testing.T) {
	for name, split := range splits {
		t.Run(name, func(t *testing.T) {
			c := testcluster.New(t, testcluster.Options{FileSystem: testcluster.XFS})
			g := splitBrain(t, c, split.before, split.split)
			g.mustCommit()
			mountGV0(t, c).mustCommit()
			if lost := g.operateAndCut(t, "cured", true); len(lost) > 0 {
				t.Errorf("lost:\n%s", strings.Join(lost, "\n"))
			}
			// The next cable that is cut.
			half(t, c, 0).mustCommit()
			half(t, c, 1).mustCommit()
			g.mustCommit()
		})
	}
}

// The controller's client can open a file that both sides have changed, as long as it has not read it: it sees ACLs, so
// the kernel leaves permissions to it, and asks for no attributes.
func TestTheControllersClientReplacesWhatIsInSplitBrain(t *testing.T) {
	for name, split := range splits {
		t.Run(name, func(t *testing.T) {
			c := testcluster.New(t, testcluster.Options{})
			must(t, c.SetOption("gv0", "cluster.self-heal-daemon", "off"))
			splitBrain(t, c, split.before, split.split)
			m, err := c.Mount(t.Context(), "gv0", gluster.Arguments("gv0", gluster.ControllerOptions())...)
			must(t, err)
			use(t, c, "gv0", m).mustCommit()
		})
	}
}

// TestAFileThatEachServerHasChangedAloneIsReplaced needs no cable, and one controller.
func TestAFileThatEachServerHasChangedAloneIsReplaced(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	must(t, c.SetOption("gv0", "cluster.self-heal-daemon", "off")) // which may or may not come between
	g := mountGV0(t, c)
	g.mustCommit()
	for brick := range 2 {
		must(t, c.KillBrick("gv0", brick))
		testcluster.Eventually(t, patience, func() error {
			if testcluster.Connected(g.path, "gv0", brick) == nil {
				return errors.New("the brick is connected")
			}
			return nil
		})
		g.mustCommit()
		must(t, c.StartBrick("gv0", brick))
		g.connected(0, 1)
	}
	isInSplitBrain(t, g, "commit/0/0")
	g.mustCommit()
}

// TestOfManyThatReplaceAFileAtOnceEachHasOne: controllers and nodes meet the split-brain in the same moment.
func TestOfManyThatReplaceAFileAtOnceEachHasOne(t *testing.T) {
	for name, split := range splits {
		t.Run(name, func(t *testing.T) {
			c := testcluster.New(t, testcluster.Options{FileSystem: testcluster.XFS})
			all := []*mounted{splitBrain(t, c, split.before, split.split), mountGV0(t, c), mountGV0(t, c)}
			for range 3 {
				var commits errgroup.Group
				for _, g := range all {
					commits.Go(g.commit)
				}
				if err := commits.Wait(); err != nil {
					t.Error(err)
				}
			}
			for i, g := range all {
				for set, file := range g.files.bySet {
					if _, err := os.Stat(filepath.Join(all[(i+1)%len(all)].path, below(file.Name()))); err != nil {
						t.Errorf("what is synced of %s is not there for another client: %v", set, err)
					}
				}
				if lost := g.operateAndCut(t, fmt.Sprint("at once", i), true); len(lost) > 0 {
					t.Errorf("lost:\n%s", strings.Join(lost, "\n"))
				}
			}
		})
	}
}

// splitBrain makes something in the driver's directory before the cable is cut, has each side commit, and returns a
// client of both sides, which has been there all the time.
func splitBrain(t *testing.T, c *testcluster.Cluster, before, split string) *mounted {
	t.Helper()
	g := mountGV0(t, c)
	must(t, os.Mkdir(filepath.Join(g.path, ownDir), 0o700))
	if before == split {
		g.mustCommit()
	} else {
		must(t, os.MkdirAll(filepath.Join(g.path, ownDir, before), 0o700))
	}
	for brick := range 2 {
		side := half(t, c, brick)
		if before == filepath.Dir(split) && filepath.Base(before) == "0" { // where both had begun with the directory
			must(t, os.WriteFile(filepath.Join(side.path, ownDir, split), nil, 0o600))
		}
		side.mustCommit()
	}
	isInSplitBrain(t, g, split)
	return g
}

func isInSplitBrain(t *testing.T, g *mounted, name string) {
	t.Helper()
	testcluster.Eventually(t, patience, func() error {
		if err := os.Chtimes(filepath.Join(g.path, ownDir, name), time.Time{}, time.Now()); !errors.Is(err, unix.EIO) {
			return fmt.Errorf("%s is not in split-brain: %w", name, err)
		}
		return nil
	})
}

// half is a client of one side.
func half(t *testing.T, c *testcluster.Cluster, brick int) *mounted {
	t.Helper()
	m, err := c.MountSide(t.Context(), "gv0", brick, gluster.Arguments("gv0", []string{gluster.FreshNames})...)
	must(t, err)
	return use(t, c, "gv0", m)
}

// below is the path of a file below the root, of its name.
func below(name string) string {
	_, path, _ := strings.Cut(name, ownDir)
	return ownDir + path
}
