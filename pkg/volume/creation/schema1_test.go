// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package creation_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestVolumesOfTheFirstVersionAreVolumes(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.MakeSchema1(t, s, "old", "team/old")
	again := volumes.Spec("old")
	again.Path = "team/old"
	volumes.Create(t, s, again)
	inner := volumes.Spec("inner")
	inner.Path = "team/old/inner"
	_, err := s.Create(inner)
	volumes.Wants(t, err, volume.ErrNested, "old")
	other := volumes.Spec("other")
	other.Path = "team/old"
	_, err = s.Create(other)
	volumes.Wants(t, err, volume.ErrForeign, "old")
	_, _, err = s.Directory(volumes.Background, lifecycle.Access{ID: "static", Path: "team/old"})
	volumes.Wants(t, err, volume.ErrForeign)
	volumes.Publish(t, s, lifecycle.Access{ID: "old"}) // takes it over
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "ready old")

	// From here on the mark may be lost.
	if err := unix.Removexattr(filepath.Join(mountpoint, "team/old"), store.MarkXattr); err != nil {
		t.Fatal(err)
	}
	volumes.Publish(t, s, lifecycle.Access{ID: "old"})
	for range 2 {
		if err := s.Delete(volumes.Background, "old"); err != nil {
			t.Fatal(err)
		}
		volumes.Same(t, volumes.Audit(t, mountpoint), "trash old") // the parent went, too
		if err := volumes.RestoreOnly(s); err != nil {
			t.Fatal(err)
		}
		volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "ready old")
	}
	if err := s.Delete(volumes.Background, "old"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
	if left, err := os.ReadDir(filepath.Join(mountpoint, volume.OwnDir, "gfids")); len(left) > 0 || err != nil {
		t.Errorf("gfids left: %v, %v", left, err)
	}
}

func TestADirectoryWithAnotherMarkIsNotTakenOver(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.MakeSchema1(t, s, "old", "old")
	at := filepath.Join(mountpoint, "old")
	if err := unix.Setxattr(at, store.MarkXattr, []byte("other"), 0); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "old"})
	volumes.Wants(t, err, volume.ErrForeign)
	volumes.Wants(t, s.Delete(volumes.Background, "old"), volume.ErrForeign)
	volumes.Wants(t, s.Reconcile(volumes.Background, volumes.Unlocked), volume.ErrForeign, "old")
}

// What the first version had begun when it was replaced.
func TestCreationsOfTheFirstVersionAreTakenBack(t *testing.T) {
	for name, marked := range map[string]bool{"before the mark": false, "after the mark": true} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			stamp := volumes.MakeSchema1(t, s, "old", "old")
			own := filepath.Join(mountpoint, volume.OwnDir)
			at := filepath.Join(mountpoint, "old")
			err := os.Rename(filepath.Join(own, owndir.VolumesDir, "old.json"), filepath.Join(own, owndir.CreatingDir, stamp+store.RecordSuffix))
			if !marked {
				err = errors.Join(err, unix.Removexattr(at, store.MarkXattr), unix.Chmod(at, 0o1000))
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Create(volumes.Spec("old"))
			volumes.Wants(t, err, volume.ErrBusy)
			s.Recent = 0
			_, err = s.Create(volumes.Spec("old"))
			volumes.Wants(t, err, volume.ErrBusy)
			if r := volumes.Create(t, s, volumes.Spec("old")); r.Schema != 2 {
				t.Errorf("schema %d", r.Schema)
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), "ready old")
		})
	}
}
