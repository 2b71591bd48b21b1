// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package trash_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// While a restoration stands still another may give it up, and a third get the path. A rename would replace the third's
// directory, which is empty.
func TestARestorationThatStoodStillLeavesTheNextVolumesPlace(t *testing.T) {
	for name, then := range map[string]func(t *testing.T, s *lifecycle.Volumes){
		"another has the path": func(t *testing.T, s *lifecycle.Volumes) {
			t.Helper()
			next := volumes.Spec("next")
			next.Path = "vol"
			volumes.Create(t, s, next)
		},
		"nobody has the path": func(*testing.T, *lifecycle.Volumes) {},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.Create(t, s, volumes.Spec("vol"))
			volumes.Must(t, s.Delete(volumes.Background, "vol"))
			other := volumes.Open(t, mountpoint)
			other.Recent = 0
			s.Step = func(point string) {
				switch point {
				case "restore: path claimed":
					place := filepath.Join(mountpoint, "vol")
					volumes.Must(t, os.MkdirAll(filepath.Join(place, "somebody's"), 0o755))
					volumes.Wants(t, volumes.RestoreOnly(other), volume.ErrForeign)
					volumes.Must(t, os.RemoveAll(place))
					then(t, other)
				case "restore: data moved back":
					t.Error("the data is moved")
				}
			}
			volumes.Wants(t, volumes.RestoreOnly(s), volume.ErrBusy, "by now")
			want := []string{"trash vol"}
			if name == "another has the path" {
				want = append(want, "ready next")
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), want...)
		})
	}
}

// What a pod has put in the place of a volume that is deleted goes back, also where a record came that cannot be read.
func TestWhatIsNotTheVolumesGoesBackWhateverItsRecordSays(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	place := filepath.Join(mountpoint, "vol")
	s.Step = func(point string) {
		if point == "delete: directory found" {
			volumes.Must(t, os.Rename(place, place+".moved"), os.MkdirAll(filepath.Join(place, "theirs"), 0o755),
				os.WriteFile(filepath.Join(mountpoint, volumes.RecordFile("vol")), []byte("torn"), 0o600))
		}
	}
	volumes.Wants(t, s.Delete(volumes.Background, "vol"), volume.ErrCorrupt)
	if _, err := os.Stat(filepath.Join(place, "theirs")); err != nil {
		t.Error(err)
	}
}
