// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestWhatWasChangedCounts(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	asked := volumes.Spec("vol")
	asked.Owner = volume.Owner{UID: volumes.Ptr[uint32](1), Mode: volumes.Ptr[volume.Mode](0o750)}
	volumes.Create(t, s, asked)
	volumes.Create(t, s, volumes.Spec("soon"))
	for range 2 {
		r, err := s.Modify("vol", volume.Changes{Owner: volume.Owner{UID: volumes.Ptr[uint32](2), GID: volumes.Ptr[uint32](3)}})
		volumes.Must(t, err)
		if r.Owner.String() != "uid=2 gid=3 mode=0750" || r.OnDelete != volume.Trash || r.Capacity != 1<<30 {
			t.Errorf("changed to %+v", r)
		}
	}
	volumes.Expand(t, s, "vol", 2<<30, 0, 2<<30)
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, "vol")); got != "2:3 0750" {
		t.Errorf("its owner is %s", got)
	}
	// The class is the same, whatever the volume is by now; and a publish mends what counts.
	volumes.Create(t, s, asked)
	dir, err := s.Root.Open("vol")
	volumes.Must(t, err, dir.Chown(5, 5))
	dir.Close()
	for _, readOnly := range []bool{true, false} {
		dir, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "vol", ReadOnly: readOnly})
		volumes.Must(t, err)
		dir.Close()
		if got := volumes.OwnerOf(t, filepath.Join(mountpoint, "vol")); got != map[bool]string{true: "5:5 0750", false: "2:3 0750"}[readOnly] {
			t.Errorf("published read-only %t, with the owner %s", readOnly, got)
		}
	}

	_, err = s.Modify("soon", volume.Changes{OnDelete: volume.Delete})
	volumes.Must(t, err, s.Delete(volumes.Background, "soon"), s.Delete(volumes.Background, "vol"))
	s.Abandoned = 0
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "trash vol")
}

// A directory that was given back while its volume was being changed is not the driver's any more.
func TestAChangeLeavesTheDirectoryOfAVolumeAloneThatIsGone(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	kept := volumes.Spec("vol")
	kept.OnDelete, kept.Owner = volume.Retain, volume.Owner{UID: volumes.Ptr[uint32](1)}
	volumes.Create(t, s, kept)
	at := filepath.Join(mountpoint, "vol")
	s.Step = func(point string) {
		if point == "change: new attributes made" {
			volumes.Must(t, volumes.Open(t, mountpoint).Delete(volumes.Background, "vol"), os.Chown(at, 5, 5))
		}
	}
	_, err := s.Modify("vol", volume.Changes{Owner: volume.Owner{UID: volumes.Ptr[uint32](2)}})
	volumes.Wants(t, err, volume.ErrNotFound)
	if got := volumes.OwnerOf(t, at); got != "5:5 2770" {
		t.Errorf("it was given to 5:5 2770, and is %s", got)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory vol")
}
