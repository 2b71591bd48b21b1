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
	t.Cleanup(func() { must(t, c.StopVolume("earlier"), c.DeleteVolume("earlier")) })
	g := mountVolume(t, c, "earlier")
	records := filepath.Join(g.path, ownDir, "volumes", "39")
	must(t, os.MkdirAll(records, 0o700), os.WriteFile(filepath.Join(records, "vol.json"), []byte("{}"), 0o600))
	fill(t, filepath.Join(g.path, "ballast"))
	must(t, os.Rename(filepath.Join(g.path, "ballast"), filepath.Join(g.path, "trash")))
	g.mustCommit()
	if g.Forces() != 1 || len(g.files.bySet) != 1 {
		t.Errorf("%d forces of %v", g.Forces(), g.files.bySet)
	}
	g.mustCommit()

	// Where there is nothing either, that is told.
	must(t, os.Remove(filepath.Join(records, "vol.json")))
	if err := mountVolume(t, c, "earlier").commit(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("with nothing to sync: %v", err)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// fill takes all the space that there is.
func fill(t *testing.T, path string) {
	t.Helper()
	ballast, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(t, err)
	for size := 1 << 20; size >= 4<<10; size /= 2 {
		for err = nil; err == nil; {
			_, err = ballast.Write(make([]byte, size))
		}
	}
	_ = ballast.Close() // it says what the last write said
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
}
