// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"encoding/hex"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestTwoMakersOfDirectories: two controllers commit for the first time at once, and a third client looks at the
// directories all the time, while one of the bricks stands still in the middle of each mkdir: see pkg/onemaker.
func TestTwoMakersOfDirectories(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	all := []*mounted{mountGV0(t, c), mountGV0(t, c)}
	third := mountGV0(t, c)
	c.SlowCall(t, "gv0", 0, "mkdirat", 20*time.Millisecond)
	const rounds = 40 // before, a directory had two gfids in one of them
	for range rounds {
		done := make(chan struct{})
		var looks sync.WaitGroup
		looks.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					for _, dir := range []string{"", "commit", "commit/0"} {
						_, _ = os.Lstat(filepath.Join(third.path, ownDir, dir))
					}
				}
			}
		})
		var commits errgroup.Group
		for _, g := range all {
			commits.Go(func() error {
				first := New() // of a process that knows nothing
				defer first.Close()
				return first.Commit(t.Context(), g.root)
			})
		}
		err := commits.Wait()
		close(done)
		looks.Wait()
		if err != nil {
			t.Error(err)
		}
		if first, second := ownOn(t, c, 0), ownOn(t, c, 1); !maps.Equal(first, second) {
			t.Errorf("the first brick has %v, the second %v", first, second)
		}
		must(t, os.RemoveAll(filepath.Join(third.path, ownDir)))
	}
}

// TestADirectoryWhoseMakerWasKilledIsMade once its file was seen for a while.
func TestADirectoryWhoseMakerWasKilledIsMade(t *testing.T) {
	g := mountGV0(t, testcluster.New(t, testcluster.Options{}))
	top := filepath.Join(g.path, ownDir)
	must(t, os.Mkdir(top, 0o700), os.WriteFile(filepath.Join(top, "commit.making"), nil, 0o600))
	testcluster.Eventually(t, patience, g.commit)
	if left, err := filepath.Glob(filepath.Join(top, "*.making*")); len(left) > 0 || err != nil {
		t.Errorf("left is %v, %v", left, err)
	}
}

// ownOn is what a brick has of the driver's own, with the gfids.
func ownOn(t *testing.T, c *testcluster.Cluster, brick int) map[string]string {
	t.Helper()
	found := map[string]string{}
	root := c.BrickPath("gv0", brick)
	must(t, filepath.WalkDir(filepath.Join(root, ownDir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		gfid := make([]byte, 16)
		_, err = unix.Lgetxattr(path, "trusted.gfid", gfid)
		found[strings.TrimPrefix(path, root)] = hex.EncodeToString(gfid)
		return err
	}))
	return found
}
