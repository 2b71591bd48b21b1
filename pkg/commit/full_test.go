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
	ballast, err := os.OpenFile(filepath.Join(g.path, "ballast"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size >= 4<<10; size /= 2 {
		for err = nil; err == nil; {
			_, err = ballast.Write(make([]byte, size))
		}
	}
	_ = ballast.Close() // it says what the last write said
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(g.path, "ballast"), filepath.Join(g.path, "trash")); err != nil {
		t.Fatal(err)
	}
	g.mustCommit()
	mountVolume(t, c, "tiny").mustCommit() // nor does another process need space
}
