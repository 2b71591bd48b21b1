// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"bytes"
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

// loseClaim removes the claim of a path by hand.
func loseClaim(t *testing.T, s *lifecycle.Volumes, path string) {
	t.Helper()
	volumes.Must(t, os.Remove(filepath.Join(volumes.RootOf(s), volumes.ClaimFile(path))))
}

func TestAVolumeThatHasLostItsClaimGetsItAgain(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	for _, name := range []string{"lost", "moved", "gone", "robbed", "newer", "deleted"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	robber := volumes.Create(t, s, volumes.Spec("robber"))
	volumes.Must(t, s.Delete(volumes.Background, "deleted"))
	for _, name := range []string{"lost", "moved", "gone", "robbed", "newer"} {
		loseClaim(t, s, name)
	}
	at := func(name string) string { return filepath.Join(mountpoint, name) }
	other := volume.PathClaim{Stamp: robber.Stamp(), Path: "robbed"}
	volumes.Must(t, os.Rename(at("moved"), at("elsewhere")), os.Mkdir(at("moved"), 0o755), os.Remove(at("gone")),
		os.Symlink(other.String(), at(volumes.ClaimFile("robbed"))))
	record, err := os.ReadFile(at(volumes.RecordFile("newer")))
	volumes.Must(t, err, os.WriteFile(at(volumes.RecordFile("newer")), bytes.Replace(record, []byte(`"minWriter": 2`), []byte(`"minWriter": 3`), 1), 0o600))
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	if held, err := s.HolderOf("lost"); !errors.Is(err, os.ErrNotExist) { // it may be on a brick that is away
		t.Errorf("at once its path is held by %q, %v", held, err)
	}
	s.Abandoned = 0
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	if held, err := s.HolderOf("lost"); err != nil || volume.IDOfStamp(held.Stamp) != "lost" {
		t.Errorf("its path is held by %q, %v", held, err)
	}
	if held, err := s.HolderOf("robbed"); err != nil || held != other {
		t.Errorf("the path that another has is held by %q, %v", held, err)
	}
	for _, path := range []string{"moved", "gone", "newer", "deleted"} {
		if held, err := s.HolderOf(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is held by %q, %v", path, held, err)
		}
	}
	s.Recent = 0
	volumes.Finds(t, s, false, "no-directory gone", "other-directory moved", "path-not-claimed newer", "path-not-claimed robbed", "no-volume robber")
}

// A controller gives a volume its claim again while another gives the volume up, and looks for the claim at its end.
func TestAClaimThatIsMadeAgainIsNotLeftByAVolumeThatGoes(t *testing.T) {
	reconcile := func(s *lifecycle.Volumes) error {
		s.Abandoned = 0
		return s.Reconcile(volumes.Background, volumes.Unlocked)
	}
	remove := func(s *lifecycle.Volumes) error { return s.Delete(volumes.Background, "vol") }
	for onDelete, left := range map[volume.OnDelete]string{volume.Trash: "trash vol", volume.Retain: "directory vol"} {
		wanted := volumes.Spec("vol")
		wanted.OnDelete = onDelete
		prepare := func(s *lifecycle.Volumes) { volumes.Create(t, s, wanted); loseClaim(t, s, "vol") }
		check := func(mountpoint string) { volumes.Same(t, volumes.Audit(t, mountpoint), left) }
		t.Run(string(onDelete)+", at each point of the claim", func(t *testing.T) { atEachPoint(t, prepare, reconcile, remove, check) })
		t.Run(string(onDelete)+", at each point of the deletion", func(t *testing.T) { atEachPoint(t, prepare, remove, reconcile, check) })
	}
}
