// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package check_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestCheckFindsNothingWhereAllIsWell(t *testing.T) {
	s, _, _ := volumes.OnGV0WithoutWaiting(t)
	volumes.Finds(t, s, false)
	nested := volumes.Spec("below")
	nested.Path = "team/app/below"
	volumes.Create(t, s, nested)
	for _, name := range []string{"vol", "trashed", "restored", "held"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	volumes.Must(t, s.Delete(volumes.Background, "restored"), volumes.RestoreOnly(s), s.Delete(volumes.Background, "trashed"), s.Delete(volumes.Background, "held"))
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err, s.Trash.Hold(entries[1].Name))
	volumes.MakeSchema1(t, s, "old", "old")
	volumes.Finds(t, s, false)
}

func TestCheckFindsVolumesWithoutTheirDirectory(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	for _, name := range []string{"gone", "replaced", "link", "unclaimed", "torn"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	at := func(name string) string { return filepath.Join(mountpoint, name) }
	volumes.Must(t,
		os.Remove(at("gone")),
		os.Remove(at("replaced")), os.Mkdir(at("replaced"), 0o755),
		os.Remove(at("link")), os.Symlink("unclaimed", at("link")),
		os.Remove(filepath.Join(mountpoint, volumes.ClaimFile("unclaimed"))),
		os.WriteFile(filepath.Join(mountpoint, volumes.RecordFile("torn")), []byte(`{"schema": 2`), 0o600),
	)
	found := []string{"no-directory gone", "other-directory replaced", "other-directory link", "path-not-claimed unclaimed", "unreadable torn"}
	volumes.Finds(t, s, false, found...)
	volumes.Finds(t, s, true, found...)
	volumes.Finds(t, s, false, slices.DeleteFunc(found, func(f string) bool { return f == "path-not-claimed unclaimed" })...)
	if _, err := os.Stat(at("torn")); err != nil {
		t.Error(err)
	}
}

func TestCheckFindsTwoVolumesOnOnePath(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	first := volumes.Create(t, s, volumes.Spec("first"))
	twin := first
	twin.ID, twin.Name = "twin", "twin"
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, volume.OwnDir, owndir.VolumesDir, "twin.json"), twin.Encode(), 0o600))
	volumes.Finds(t, s, true, "shared-path first", "shared-path twin")
	volumes.Finds(t, s, false, "shared-path first", "shared-path twin")
}

func TestCheckTakesBackWhatIsHalfMade(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	volumes.Create(t, s, volumes.Spec("whole"))
	for _, point := range []string{"create: claimed", "create: path claimed", "create: directory made", "create: mode set"} {
		s.Abandoned = time.Hour
		volumes.StopAt(volumes.Open(t, mountpoint), point, func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("half")) })
		volumes.Finds(t, s, false) // its maker may go on
		s.Abandoned = 0
		volumes.Finds(t, s, true, "half-made half")
		volumes.Same(t, volumes.Audit(t, mountpoint), "ready whole")
	}
	// A directory whose record is gone, with data and without, and what is left of one.
	for _, name := range []string{"empty", "full", "nothing"} {
		volumes.Create(t, s, volumes.Spec(name))
		volumes.Must(t, os.Remove(filepath.Join(mountpoint, volumes.RecordFile(name))))
	}
	dear := filepath.Join(mountpoint, "full", "dear")
	volumes.Must(t, os.WriteFile(dear, nil, 0o600), os.Remove(filepath.Join(mountpoint, "nothing")))
	volumes.Finds(t, s, true, "no-volume empty", "no-volume full", "stale-claim nothing")
	if _, err := os.Stat(dear); err != nil {
		t.Error(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory empty", "directory full", "ready whole")
}

func TestCheckFindsWhatIsLeftOver(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	for _, name := range []string{"vol", "moved"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	dead := volume.StampOf("dead", volume.Now())
	volumes.Must(t,
		os.Rename(filepath.Join(mountpoint, volumes.ClaimFile("vol")), filepath.Join(mountpoint, volumes.ClaimFile("vol")+store.AsideSuffix+"1")),
		os.Symlink(volume.PathClaim{Stamp: dead, Path: "dead"}.String(), filepath.Join(own, owndir.PathsDir, volume.PathClaimName("dead")+store.AsideSuffix+"2")),
		os.Rename(filepath.Join(mountpoint, "moved"), filepath.Join(own, owndir.CreatingDir, dead+store.DirSuffix)),
		os.Mkdir(filepath.Join(own, owndir.CreatingDir, volume.StampOf("empty", volume.Now())+store.DirSuffix), 0o700),
		os.Mkdir(filepath.Join(own, owndir.CreatingDir, volume.StampOf("full", volume.Now())+store.DirSuffix), 0o700),
	)
	full, err := filepath.Glob(filepath.Join(own, owndir.CreatingDir, "full.*"))
	volumes.Must(t, err, os.WriteFile(filepath.Join(full[0], "dear"), nil, 0o600))
	found := []string{"leftover dead", "leftover dead", "leftover empty", "leftover full", "leftover vol", "no-directory moved", "path-not-claimed vol"}
	volumes.Finds(t, s, false, found...)
	problems, err := volumes.Checker(s).Check(volumes.Background)
	volumes.Must(t, err)
	for _, p := range problems {
		_, err := volumes.Checker(s).Repair(p, volumes.Unlocked)
		if p.Subject == "full" {
			volumes.Wants(t, err, volume.ErrForeign, "not empty")
		} else if err != nil {
			t.Error(err)
		}
	}
	volumes.Finds(t, s, false, "leftover full")
	volumes.Must(t, os.RemoveAll(full[0]))
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready moved", "ready vol")
}

func TestCheckHoldsTheTrashAgainstItsRecords(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	trash := filepath.Join(own, owndir.TrashDir, "*")
	for _, name := range []string{"vol", "nodata", "norecord", "other", "half"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	for _, name := range []string{"nodata", "norecord", "other"} {
		volumes.Must(t, s.Delete(volumes.Background, name))
	}
	volumes.StopAt(volumes.Open(t, mountpoint), "delete: record moved", func(s *lifecycle.Volumes) { _ = s.Delete(volumes.Background, "half") })
	entry := func(name string) string {
		found, err := filepath.Glob(filepath.Join(trash, name+".*"+store.RecordSuffix))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		return strings.TrimSuffix(found[0], store.RecordSuffix)
	}
	dear := filepath.Join(entry("norecord"), "dear")
	volumes.Must(t,
		os.Remove(entry("nodata")),
		os.WriteFile(dear, nil, 0o600), os.Remove(entry("norecord")+store.RecordSuffix),
		os.Remove(entry("other")), os.Rename(filepath.Join(mountpoint, "vol"), entry("other")),
	)
	volumes.Finds(t, s, true, "no-directory vol", "trash-half-moved half", "trash-no-data nodata", "trash-no-record norecord", "trash-other-data other")
	volumes.Finds(t, s, false, "trash-no-data nodata", "trash-no-data other", "trash-no-record norecord")
	if _, err := os.Stat(dear); err != nil {
		t.Error(err)
	}
	volumes.Publish(t, s, lifecycle.Access{ID: "vol"})
}

func TestCheckGivesALostIdentityBackToItsOnlyVolume(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	for _, name := range []string{"lost", "a", "b"} {
		path := name
		if name == "b" {
			path = "a"
		}
		if name == "b" { // another volume that names the same path
			record, err := os.ReadFile(filepath.Join(own, owndir.VolumesDir, "a.json"))
			volumes.Must(t, err, os.WriteFile(filepath.Join(own, owndir.VolumesDir, "b.json"), []byte(strings.ReplaceAll(string(record), `"id": "a", "name": "a"`, `"id": "b", "name": "b"`)), 0o600))
			continue
		}
		volumes.MakeSchema1(t, s, name, path)
		volumes.Must(t, unix.Removexattr(filepath.Join(mountpoint, path), store.MarkXattr))
	}
	taken := volumes.Create(t, s, volumes.Spec("taken"))
	volumes.MakeSchema1(t, s, "thief", "thief") // its path leads to the directory of another
	volumes.Must(t, os.Remove(filepath.Join(mountpoint, "thief")), os.Rename(filepath.Join(mountpoint, "taken"), filepath.Join(mountpoint, "thief")))
	_, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "lost"})
	volumes.Wants(t, err, volume.ErrForeign)
	left := []string{"lost-identity a", "lost-identity b", "shared-path a", "shared-path b", "no-directory taken", "lost-identity thief"}
	volumes.Finds(t, s, true, append(left, "lost-identity lost")...)
	volumes.Finds(t, s, false, left...)
	volumes.Publish(t, s, lifecycle.Access{ID: "lost"})
	volumes.Must(t, s.Delete(volumes.Background, "lost"), os.Rename(filepath.Join(mountpoint, "thief"), filepath.Join(mountpoint, "taken")))
	volumes.Publish(t, s, lifecycle.Access{ID: taken.ID})
}

func TestCheckSaysNothingOfWhatGoesOn(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	volumes.Create(t, s, volumes.Spec("first"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		other, closeStore, err := volumes.OpenStore(mountpoint)
		if err != nil {
			t.Error(err)
			return
		}
		defer closeStore()
		for i := range 20 {
			name := fmt.Sprint("vol", i)
			_, err := other.Create(volumes.Spec(name))
			if err := errors.Join(err, other.Delete(volumes.Background, name)); err != nil {
				t.Error(err)
			}
		}
	}()
	s.Recent, s.Abandoned = 2*time.Second, time.Hour
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		volumes.Finds(t, s, false)
	}
}
