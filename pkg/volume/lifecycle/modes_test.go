// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// modeOfNew waits until a new directory of root's gets this mode of the bricks.
func modeOfNew(t *testing.T, mountpoint, want string) {
	t.Helper()
	testcluster.Eventually(t, 10*time.Second, func() error {
		dir := filepath.Join(mountpoint, "mode")
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		defer os.Remove(dir)
		if got := volumes.OwnerOf(t, dir); got != want {
			return fmt.Errorf("a new directory is %s, not %s", got, want)
		}
		return nil
	})
}

// Samba's users and oVirt's set it so: what mkdir and chmod are told counts for nothing.
func TestDirectoriesWhoseModeTheBricksForceAreTheDriversOwn(t *testing.T) {
	c, name, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
	const option = "storage.force-directory-mode"
	volumes.Must(t, c.SetOption(name, option, "0777"))
	modeOfNew(t, mountpoint, "0:0 0777")
	s := volumes.Open(t, mountpoint)
	s.Recent, s.Abandoned = 0, 0
	spec := volumes.Spec("vol")
	spec.Path, spec.Owner = "team/vol", volume.Owner{UID: volumes.Ptr[uint32](1001), Mode: volumes.Ptr[volume.Mode](0o2750)}
	volumes.Create(t, s, spec)
	volumes.StopAt(volumes.Open(t, mountpoint), "create: directory made", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("half")) })
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	volumes.Publish(t, s, lifecycle.Access{ID: "vol"})
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, spec.Path)); got != "1001:0 2777" {
		t.Errorf("the volume is %s", got)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "ready vol")

	volumes.Must(t, s.Delete(volumes.Background, "vol"))
	volumes.Must(t, volumes.RestoreOnly(s))
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "ready vol")
	volumes.Must(t, s.Delete(volumes.Background, "vol"))

	// The directories keep their modes, and new ones get others.
	volumes.Must(t, c.ResetOption(name, option))
	modeOfNew(t, mountpoint, "0:0 0700")
	later := volumes.Open(t, mountpoint)
	volumes.Must(t, volumes.RestoreOnly(later))
	volumes.Publish(t, later, lifecycle.Access{ID: "vol"})
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, spec.Path)); got != "1001:0 2750" {
		t.Errorf("the volume is %s when it was published again", got)
	}
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, volume.OwnDir)); got != "0:0 0700" {
		t.Errorf("the driver's own directory is %s", got)
	}
	volumes.Must(t, later.Delete(volumes.Background, "vol"))
	if n, err := later.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

// Whoever owns the driver's own directory decides what it deletes.
func TestADirectoryOfSomebodyElseIsNotTheDriversOwn(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	own := filepath.Join(mountpoint, volume.OwnDir)
	volumes.Must(t, os.Mkdir(own, 0o700), os.Chown(own, 1001, 0))
	_, err := s.Create(volumes.Spec("vol"))
	volumes.Wants(t, err, volume.ErrForeign, "uid 1001", "chown 0:0")
	volumes.Must(t, os.Remove(own)) // nothing was made in it
}
