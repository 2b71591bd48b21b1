// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A deletion asks whose the path is when its data is gone: by then it may be the next volume's.
func TestADeletionThatStoodStillLeavesTheNextVolumesClaim(t *testing.T) {
	for _, stands := range []string{"delete: data moved", "delete: parents removed"} {
		t.Run(stands, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			first, next := volumes.Spec("first"), volumes.Spec("next")
			first.Path, next.Path = "team/shared", "team/shared"
			volumes.Create(t, s, first)
			other := volumes.Open(t, mountpoint)
			isThere := false
			s.Step = func(point string) {
				switch {
				case point == stands:
					volumes.Create(t, other, next)
					isThere = true
				case point == "path: claim moved aside" && isThere: // else it is that of the parent
					t.Error("the claim of the next volume is moved")
				}
			}
			volumes.Must(t, s.Delete(volumes.Background, "first"))
			volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "ready next", "trash first")
		})
	}
}

// A claim that another has moved aside, to look at it, may be lost to a third before it is back. Whoever makes a volume
// sees that, and takes back a claim that is only gone.
func TestACreationThatHasLostItsClaimIsNoVolume(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*lifecycle.Volumes) error
		spec    volume.Spec
	}{"created": {nothing, crashSpec}, "cloned": {makeCopy, cloned()}} {
		t.Run(name+", and another has it", func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			third := volumes.Create(t, s, volumes.Spec("third"))
			volumes.Must(t, test.prepare(s))
			claim := filepath.Join(mountpoint, volumes.ClaimFile(crashSpec.Path))
			s.Step = func(point string) {
				if point == "create: path claimed" {
					volumes.Must(t, os.Remove(claim), os.Symlink(volume.PathClaim{Stamp: third.Stamp(), Path: crashSpec.Path}.String(), claim))
				}
			}
			_, err := s.Create(test.spec)
			volumes.Wants(t, err, volume.ErrBusy)
			if _, err := os.Lstat(filepath.Join(mountpoint, crashSpec.Path)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory is left: %v", err)
			}
			s.Step = func(string) {}
			volumes.Must(t, os.Remove(claim))
			volumes.Create(t, s, test.spec)
			_, err = copying.Reap(volumes.Background, s.Store)
			volumes.Must(t, err)
			volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "directory team/app", "ready third", "ready vol")
		})
		t.Run(name+", and it is gone", func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.Must(t, test.prepare(s))
			claim := filepath.Join(mountpoint, volumes.ClaimFile(crashSpec.Path))
			s.Step = func(point string) {
				if point == "create: path claimed" {
					volumes.Must(t, os.Rename(claim, claim+".aside.1"))
				}
			}
			r := volumes.Create(t, s, test.spec)
			if held, err := s.HolderOf(r.Path); err != nil || held.Stamp != r.Stamp() {
				t.Errorf("its path is held by %q, %v", held, err)
			}
		})
	}
}
