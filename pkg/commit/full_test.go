// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestOnAFullGlusterVolume: what frees space is to be committed, too.
func TestOnAFullGlusterVolume(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{Subvolumes: 2})
	if err := c.CreateVolume("tiny", testcluster.VolumeOptions{BrickSize: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.StopVolume("tiny"), c.DeleteVolume("tiny")); err != nil {
			t.Error(err)
		}
	})
	g := mountVolume(t, c, "tiny")
	g.mustCommit()
	fill(t, filepath.Join(g.path, "ballast"))
	if err := os.Rename(filepath.Join(g.path, "ballast"), filepath.Join(g.path, "trash")); err != nil {
		t.Fatal(err)
	}
	g.mustCommit()
	mountVolume(t, c, "tiny").mustCommit() // nor does another process need space
}
