// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

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
)

func TestCheckFindsNothingWhereAllIsWell(t *testing.T) {
	s, _, _ := checkStore(t)
	finds(t, s, false)
	nested := spec("below")
	nested.Path = "team/app/below"
	create(t, s, nested)
	for _, name := range []string{"vol", "trashed", "restored", "held"} {
		create(t, s, spec(name))
	}
	must(t, s.Delete(background, "restored"), restoreOnly(s), s.Delete(background, "trashed"), s.Delete(background, "held"))
	entries, err := s.TrashEntries()
	must(t, err, s.Hold(entries[1].Name))
	makeSchema1(t, s, "old", "old")
	finds(t, s, false)
}

func TestCheckFindsVolumesWithoutTheirDirectory(t *testing.T) {
	s, mountpoint, _ := checkStore(t)
	for _, name := range []string{"gone", "replaced", "link", "unclaimed", "torn"} {
		create(t, s, spec(name))
	}
	at := func(name string) string { return filepath.Join(mountpoint, name) }
	must(t,
		os.Remove(at("gone")),
		os.Remove(at("replaced")), os.Mkdir(at("replaced"), 0o755),
		os.Remove(at("link")), os.Symlink("unclaimed", at("link")),
		os.Remove(filepath.Join(mountpoint, claimFile("unclaimed"))),
		os.WriteFile(filepath.Join(mountpoint, recordFile("torn")), []byte(`{"schema": 2`), 0o600),
	)
	found := []string{"no-directory gone", "other-directory replaced", "other-directory link", "path-not-claimed unclaimed", "unreadable torn"}
	finds(t, s, false, found...)
	finds(t, s, true, found...)
	finds(t, s, false, slices.DeleteFunc(found, func(f string) bool { return f == "path-not-claimed unclaimed" })...)
	if _, err := os.Stat(at("torn")); err != nil {
		t.Error(err)
	}
}

func TestCheckFindsTwoVolumesOnOnePath(t *testing.T) {
	s, mountpoint, _ := checkStore(t)
	first := create(t, s, spec("first"))
	twin := first
	twin.ID, twin.Name = "twin", "twin"
	must(t, os.WriteFile(filepath.Join(mountpoint, ownDir, volumesDir, "twin.json"), twin.encode(), 0o600))
	finds(t, s, true, "shared-path first", "shared-path twin")
	finds(t, s, false, "shared-path first", "shared-path twin")
}

func TestCheckTakesBackWhatIsHalfMade(t *testing.T) {
	s, mountpoint, _ := checkStore(t)
	create(t, s, spec("whole"))
	for _, point := range []string{stepClaimed, stepPathHeld, stepMade, stepMode} {
		s.abandoned = time.Hour
		cut(open(t, mountpoint), point, func(s *Store) { _, _ = s.Create(spec("half")) })
		finds(t, s, false) // its maker may go on
		s.abandoned = 0
		finds(t, s, true, "half-made half")
		same(t, audit(t, mountpoint), "ready whole")
	}
	// A directory whose record is gone, with data and without, and what is left of one.
	for _, name := range []string{"empty", "full", "nothing"} {
		create(t, s, spec(name))
		must(t, os.Remove(filepath.Join(mountpoint, recordFile(name))))
	}
	dear := filepath.Join(mountpoint, "full", "dear")
	must(t, os.WriteFile(dear, nil, 0o600), os.Remove(filepath.Join(mountpoint, "nothing")))
	finds(t, s, true, "no-volume empty", "no-volume full", "stale-claim nothing")
	if _, err := os.Stat(dear); err != nil {
		t.Error(err)
	}
	same(t, audit(t, mountpoint), "directory empty", "directory full", "ready whole")
}

func TestCheckFindsWhatIsLeftOver(t *testing.T) {
	s, mountpoint, own := checkStore(t)
	for _, name := range []string{"vol", "moved"} {
		create(t, s, spec(name))
	}
	dead := stamped("dead", now())
	must(t,
		os.Rename(filepath.Join(mountpoint, claimFile("vol")), filepath.Join(mountpoint, claimFile("vol")+asideSuffix+"1")),
		os.Symlink(holder{stamp: dead, path: "dead"}.String(), filepath.Join(own, pathsDir, pathName("dead")+asideSuffix+"2")),
		os.Rename(filepath.Join(mountpoint, "moved"), filepath.Join(own, creatingDir, dead+dirSuffix)),
		os.Mkdir(filepath.Join(own, creatingDir, stamped("empty", now())+dirSuffix), 0o700),
		os.Mkdir(filepath.Join(own, creatingDir, stamped("full", now())+dirSuffix), 0o700),
	)
	full, err := filepath.Glob(filepath.Join(own, creatingDir, "full.*"))
	must(t, err, os.WriteFile(filepath.Join(full[0], "dear"), nil, 0o600))
	found := []string{"leftover dead", "leftover dead", "leftover empty", "leftover full", "leftover vol", "no-directory moved", "path-not-claimed vol"}
	finds(t, s, false, found...)
	problems, err := s.Check(background)
	must(t, err)
	for _, p := range problems {
		_, err := s.Repair(p, unlocked)
		if p.Subject == "full" {
			wants(t, err, ErrForeign, "not empty")
		} else if err != nil {
			t.Error(err)
		}
	}
	finds(t, s, false, "leftover full")
	must(t, os.RemoveAll(full[0]))
	same(t, audit(t, mountpoint), "ready moved", "ready vol")
}

func TestCheckHoldsTheTrashAgainstItsRecords(t *testing.T) {
	s, mountpoint, own := checkStore(t)
	trash := filepath.Join(own, trashDir, "*")
	for _, name := range []string{"vol", "nodata", "norecord", "other", "half"} {
		create(t, s, spec(name))
	}
	for _, name := range []string{"nodata", "norecord", "other"} {
		must(t, s.Delete(background, name))
	}
	cut(open(t, mountpoint), stepFiled, func(s *Store) { _ = s.Delete(background, "half") })
	entry := func(name string) string {
		found, err := filepath.Glob(filepath.Join(trash, name+".*"+recordSuffix))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		return strings.TrimSuffix(found[0], recordSuffix)
	}
	dear := filepath.Join(entry("norecord"), "dear")
	must(t,
		os.Remove(entry("nodata")),
		os.WriteFile(dear, nil, 0o600), os.Remove(entry("norecord")+recordSuffix),
		os.Remove(entry("other")), os.Rename(filepath.Join(mountpoint, "vol"), entry("other")),
	)
	finds(t, s, true, "no-directory vol", "trash-half-moved half", "trash-no-data nodata", "trash-no-record norecord", "trash-other-data other")
	finds(t, s, false, "trash-no-data nodata", "trash-no-data other", "trash-no-record norecord")
	if _, err := os.Stat(dear); err != nil {
		t.Error(err)
	}
	publish(t, s, Access{ID: "vol"})
}

func TestCheckGivesALostIdentityBackToItsOnlyVolume(t *testing.T) {
	s, mountpoint, own := checkStore(t)
	for _, name := range []string{"lost", "a", "b"} {
		path := name
		if name == "b" {
			path = "a"
		}
		if name == "b" { // another volume that names the same path
			record, err := os.ReadFile(filepath.Join(own, volumesDir, "a.json"))
			must(t, err, os.WriteFile(filepath.Join(own, volumesDir, "b.json"), []byte(strings.ReplaceAll(string(record), `"id": "a", "name": "a"`, `"id": "b", "name": "b"`)), 0o600))
			continue
		}
		makeSchema1(t, s, name, path)
		must(t, unix.Removexattr(filepath.Join(mountpoint, path), markXattr))
	}
	taken := create(t, s, spec("taken"))
	makeSchema1(t, s, "thief", "thief") // its path leads to the directory of another
	must(t, os.Remove(filepath.Join(mountpoint, "thief")), os.Rename(filepath.Join(mountpoint, "taken"), filepath.Join(mountpoint, "thief")))
	_, _, err := s.Directory(background, Access{ID: "lost"})
	wants(t, err, ErrForeign)
	left := []string{"lost-identity a", "lost-identity b", "shared-path a", "shared-path b", "no-directory taken", "lost-identity thief"}
	finds(t, s, true, append(left, "lost-identity lost")...)
	finds(t, s, false, left...)
	publish(t, s, Access{ID: "lost"})
	must(t, s.Delete(background, "lost"), os.Rename(filepath.Join(mountpoint, "thief"), filepath.Join(mountpoint, "taken")))
	publish(t, s, Access{ID: taken.ID})
}

func TestCheckSaysNothingOfWhatGoesOn(t *testing.T) {
	s, mountpoint, _ := checkStore(t)
	create(t, s, spec("first"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		other, closeStore, err := openStore(mountpoint)
		if err != nil {
			t.Error(err)
			return
		}
		defer closeStore()
		for i := range 20 {
			name := fmt.Sprint("vol", i)
			_, err := other.Create(spec(name))
			if err := errors.Join(err, other.Delete(background, name)); err != nil {
				t.Error(err)
			}
		}
	}()
	s.recent, s.abandoned = 2*time.Second, time.Hour
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		finds(t, s, false)
	}
}
