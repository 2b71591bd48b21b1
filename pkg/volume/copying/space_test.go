// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// Under qemu-user, where the tests run as arm64, a brick of a fixed size cannot be made: it needs open_tree.

package copying_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// What is left of a nearly full Gluster volume is for applications; a copy is given up there, too.
func TestOnANearlyFullGlusterVolumeACopyWaitsForRoom(t *testing.T) {
	const size = 64 << 20
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: size})
	source := makeSource(t, mountpoint)
	s := volumes.Open(t, mountpoint)
	c := impatient(s.Store)
	st := claim(t, c)
	ballast := filepath.Join(mountpoint, "ballast")
	file, err := os.Create(ballast)
	volumes.Must(t, err)
	block := make([]byte, 256<<10)
	for written := 0; ; written += len(block) {
		free, err := s.FreePart()
		volumes.Must(t, err)
		if free < 0.05 {
			break
		}
		if written > 2*size {
			t.Fatalf("%d bytes were written, and %.2f is free", written, free)
		}
		_, err = file.Write(block)
		volumes.Must(t, err, file.Sync())
	}
	_, err = c.Run(volumes.Background, st, open(t, source), copying.Options{})
	volumes.Wants(t, err, volume.ErrNoSpace, "free", "goes on where it was")
	if find(t, c).Result != nil {
		t.Error("it is complete")
	}
	for { // to the last block
		if _, err := file.Write(block); err != nil {
			break
		}
	}
	volumes.Must(t, c.GiveUp(st))
	if _, err := copying.Reap(volumes.Background, s.Store); err != nil {
		t.Error(err)
	}
	_ = file.Close() // which may say that there was no room
	volumes.Must(t, os.Remove(ballast))
	testcluster.Eventually(t, time.Minute, func() error { // the bricks look at their free space every few seconds only
		st, err := c.Claim(wanted())
		if err == nil {
			_, err = c.Run(volumes.Background, st, open(t, source), copying.Options{})
		}
		return err
	})
	isCopy(t, c, mountpoint, source)
}
