// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestAFullGlusterVolumeOfAnEarlierVersion has no files to sync and no room for them: what the driver has of its own
// there serves instead.
func TestAFullGlusterVolumeOfAnEarlierVersion(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{Subvolumes: 2})
	must(t, c.CreateVolume("earlier", testcluster.VolumeOptions{BrickSize: 16 << 20}))
	t.Cleanup(func() { must(t, c.RemoveVolume("earlier")) })
	g := mountVolume(t, c, "earlier")
	records := filepath.Join(g.path, ownDir, "volumes", "39")
	must(t, os.MkdirAll(records, 0o700), os.WriteFile(filepath.Join(records, "vol.json"), []byte("{}"), 0o600))
	beFull(t, g)
	g.mustCommit()
	if g.Forces() != 1 || len(g.files.bySet) != 1 || filepath.Base(g.files.bySet["earlier-replicate-0"].Name()) != "vol.json" {
		t.Errorf("%d forces of %v", g.Forces(), g.files.bySet)
	}
	g.mustCommit()

	// Where there is nothing either, that is told.
	must(t, os.Remove(filepath.Join(records, "vol.json")))
	if err := mountVolume(t, c, "earlier").commit(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("with nothing to sync: %v", err)
	}
}

// beFull has the bricks refuse whatever needs room, before they begin with it. Those that are filled to the last block
// do some of it: a small file needs room for the two directories of its gfid alone, and one or both may be there.
func beFull(t *testing.T, g *mounted) {
	t.Helper()
	must(t, g.cluster.SetOption("earlier", "storage.reserve", "99")) // percent
	probe := filepath.Join(g.path, "probe")
	testcluster.Eventually(t, patience, func() error { // they look every five seconds
		if err := os.Mkdir(probe, 0o700); !errors.Is(err, unix.ENOSPC) {
			return errors.Join(errors.New("a brick has room"), err, os.Remove(probe))
		}
		return nil
	})
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
