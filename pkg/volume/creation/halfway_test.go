// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package creation_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestWhatAnotherHostMayStillBeDoingIsLeftToIt(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("deleted"))
	volumes.StopAt(volumes.Open(t, mountpoint), "delete: record moved", func(s *lifecycle.Volumes) { _ = s.Delete(volumes.Background, "deleted") })
	volumes.StopAt(volumes.Open(t, mountpoint), "create: mode set", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("made")) })
	volumes.Wants(t, s.Delete(volumes.Background, "deleted"), volume.ErrBusy)
	volumes.Wants(t, s.Delete(volumes.Background, "made"), volume.ErrBusy)
	_, err := s.Create(volumes.Spec("deleted"))
	volumes.Wants(t, err, volume.ErrBusy)
	_, err = s.Create(volumes.Spec("made"))
	volumes.Wants(t, err, volume.ErrBusy)
	entries, err := s.Trash.TrashEntries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	_, err = s.Trash.Restore(entries[0].Name)
	volumes.Wants(t, err, volume.ErrBusy)
	volumes.Wants(t, s.Trash.Purge(volumes.Background, entries[0].Name, &trash.Purging{}), volume.ErrBusy)
	if n, err := s.Trash.Reap(volumes.Background, -time.Hour); n != 0 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
		t.Error(err)
	}

	// Nobody is doing it any more.
	s.Recent = 0
	volumes.Create(t, s, volumes.Spec("made"))
	if err := s.Delete(volumes.Background, "deleted"); err != nil {
		t.Error(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready made", "trash deleted")
}

func TestAVolumeThatIsMadeAgainHasNothingOfTheOneBefore(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent, s.Abandoned = 0, 0
	first := volumes.Create(t, s, volumes.Spec("vol"))
	file := filepath.Join(mountpoint, "vol", "secret")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	volumes.StopAt(volumes.Open(t, mountpoint), "delete: record moved", func(s *lifecycle.Volumes) { _ = s.Delete(volumes.Background, "vol") })
	// Nor is it published meanwhile, as a directory that has no record.
	_, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "vol", Path: "vol"})
	volumes.Wants(t, err, volume.ErrForeign)
	_, err = s.Create(volumes.Spec("vol")) // clears it away
	volumes.Wants(t, err, volume.ErrBusy)
	if second := volumes.Create(t, s, volumes.Spec("vol")); second.Created.Equal(first.Created) {
		t.Error("it is the same volume")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the secret is there: %v", err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol", "trash vol")
}

func TestAVolumeHalfMadeIsNotPublished(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	for _, point := range []string{"create: directory made", "create: mode set"} {
		s.Recent = 0
		volumes.StopAt(volumes.Open(t, mountpoint), point, func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("vol")) })
		_, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "vol", Path: "vol"})
		volumes.Wants(t, err, volume.ErrBusy)
		if err := s.Delete(volumes.Background, "vol"); err != nil {
			t.Error(err)
		}
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

// A claim whose writer was killed, or whose server lost its power, may have no content. Its writer may be
// on another host, and go on: then it must not become ready.
func TestAnEmptyClaimIsTakenBackWithWhatWasMadeForIt(t *testing.T) {
	for _, point := range []string{"create: record made", "create: directory made"} {
		t.Run(point, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			slow := volumes.Open(t, mountpoint)
			slow.Step = func(at string) {
				if at != point {
					return
				}
				volumes.Must(t, os.Truncate(filepath.Join(mountpoint, volumes.RecordFile("vol")), 0))
				volumes.Wants(t, s.Delete(volumes.Background, "vol"), volume.ErrBusy)
				s.Recent = 0
				volumes.Must(t, s.Delete(volumes.Background, "vol"))
			}
			_, err := slow.Create(volumes.Spec("vol"))
			volumes.Wants(t, err, volume.ErrBusy)
			volumes.Must(t, s.Delete(volumes.Background, "vol"))
			volumes.Same(t, volumes.Audit(t, mountpoint))
		})
	}
}

// The power goes when an empty claim was taken back and before that was on disk: what says that it is being taken back
// comes back, and by then the volume may have been made again.
func TestAnEmptyClaimThatComesBackTakesNothingFromTheVolumeMadeSince(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent, s.Abandoned = 0, 0
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, volumes.CreatingFile(volume.StampOf("vol", time.Now()), store.RevokedSuffix)), nil, 0o600))
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}

// What an empty record began is known by the claims of paths alone. The volume may be made again while they are read.
func TestAnEmptyClaimTakesNothingFromTheVolumeThatIsJustMade(t *testing.T) {
	for _, point := range []string{"create: path claimed", "create: mode set"} {
		t.Run(point, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.StopAt(volumes.Open(t, mountpoint), "create: path claimed", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("vol")) })
			volumes.Must(t, os.Truncate(filepath.Join(mountpoint, volumes.RecordFile("vol")), 0))
			maker := volumes.Reconciled(volumes.Open(t, mountpoint))
			stands, goesOn, made := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			maker.Step = func(at string) {
				if at == point {
					close(stands)
					<-goesOn
				}
			}
			s.Recent = 0
			s.Step = func(at string) {
				if at == "undo: claims of paths read" {
					go func() { _, err := maker.Create(volumes.Spec("vol")); made <- err }()
					select {
					case <-stands:
					case err := <-made:
						t.Fatalf("it has not come to %q: %v", point, err)
					}
				}
			}
			err := s.Creations.UndoHalfMade("vol")
			volumes.Must(t, err)
			close(goesOn)
			volumes.Must(t, <-made)
			volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
		})
	}
}

// Another controller that takes a creation back has moved its record aside, and has not seen yet that it is complete.
func TestAnEmptyClaimTakesNothingFromTheVolumeWhoseRecordIsMovedAside(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	var begun store.Lookup
	s.Step = func(at string) {
		if at == "create: mode set" {
			var err error
			begun, err = s.Find("vol")
			volumes.Must(t, err)
		}
	}
	volumes.Create(t, s, volumes.Spec("vol"))
	empty := volume.StampOf("vol", time.Now())
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, volumes.CreatingFile(empty, store.RevokedSuffix)), nil, 0o600))
	all, err := s.Creations.HalfMadeOf("vol")
	volumes.Must(t, err)
	s.Step = func(at string) {
		if at == "undo: claim renamed" {
			s.Step = func(string) {}
			volumes.Must(t, volumes.Open(t, mountpoint).Creations.Undo(all[0]))
		}
	}
	volumes.Must(t, s.Creations.Undo(creation.HalfMadeVolume(begun)))
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}

func TestAClaimOfANewerDriverIsLeftAlone(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	for _, claim := range []string{
		filepath.Join(volume.OwnDir, owndir.CreatingDir, volume.StampOf("new", time.Now().Add(-2*owndir.Abandoned))+store.RecordSuffix), volumes.RecordFile("new"),
	} {
		claim = filepath.Join(mountpoint, claim)
		volumes.Must(t, os.MkdirAll(filepath.Dir(claim), 0o700))
		if err := os.WriteFile(claim, []byte(`{"schema": 3, "minReader": 3, "id": "new"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Recent, s.Abandoned = 0, 0
		volumes.Wants(t, s.Reconcile(volumes.Background, volumes.Unlocked), volume.ErrNewer, "new")
		volumes.Wants(t, s.Delete(volumes.Background, "new"), volume.ErrNewer, "new")
		left, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, "*", "??", "new.*"))
		if err != nil || len(left) != 1 {
			t.Errorf("left is %v, %v", left, err)
		}
		volumes.Must(t, os.Remove(left[0]))
	}
}

func TestADirectoryThatSomebodyFilledIsNotTakenBack(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent = 0
	volumes.StopAt(volumes.Open(t, mountpoint), "create: mode set", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("vol")) })
	file := filepath.Join(mountpoint, "vol", "dear")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	volumes.Wants(t, s.Delete(volumes.Background, "vol"), volume.ErrForeign, "vol")
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Error(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

// A brick that forgot that a creation is being taken back has its record in its place, and it may not be listed where
// it was moved to.
func TestACreationWhoseRecordHasTwoNamesIsTakenBack(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent, s.Abandoned = 0, 0
	volumes.StopAt(volumes.Open(t, mountpoint), "create: mode set", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("vol")) })
	f, err := s.Find("vol")
	volumes.Must(t, err)
	volumes.BringBack(t, mountpoint, volumes.RecordFile("vol"), volumes.CreatingFile(f.Record.Stamp(), store.RevokedSuffix))
	volumes.Must(t, s.Creations.Undo(creation.HalfMadeVolume(f)))
	volumes.Same(t, volumes.Audit(t, mountpoint))
}
