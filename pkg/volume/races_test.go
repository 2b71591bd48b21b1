// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// A link is made once, on every kind of Gluster volume; each racer has a creation that lives.
func TestOfTwoThatWantOnePathOneGetsIt(t *testing.T) {
	for name, options := range map[string]testcluster.VolumeOptions{"replicate": {}, "distribute": {Subvolumes: 2}} {
		t.Run(name, func(t *testing.T) {
			_, _, at := two(t, options)
			const paths = 100
			racers := []*Store{open(t, at[0]), open(t, at[1]), open(t, at[0]), open(t, at[1])}
			var won [paths]atomic.Int32
			var all sync.WaitGroup
			for i, s := range racers {
				wanted := spec(fmt.Sprint("racer", i))
				r := newRecord(wanted)
				c, err := s.claim(r)
				if err != nil {
					t.Fatal(err)
				}
				c.close()
				all.Go(func() {
					for p := range paths {
						h := holder{stamp: r.stamp(), path: fmt.Sprint("path", p)}
						held, err := s.claimPath(h)
						switch {
						case err == nil && held == h:
							won[p].Add(1)
						case !errors.Is(err, os.ErrExist):
							t.Errorf("path %d: %v, %v", p, held, err)
						}
					}
				})
			}
			all.Wait()
			for p := range paths {
				if n := won[p].Load(); n != 1 {
					t.Errorf("path %d has %d holders", p, n)
				}
			}
		})
	}
}

// atEachPoint does something, and something else at the n-th point that the first passes, for each n.
func atEachPoint(t *testing.T, prepare func(s *Store), do, meanwhile func(s *Store) error, check func(mountpoint string)) {
	t.Helper()
	for n := 0; ; n++ {
		s, mountpoint := storeOf(t)
		prepare(s)
		other := open(t, mountpoint)
		other.recent = 0
		passed, point := 0, ""
		var mu sync.Mutex // of what is done beside each other, one waits for the other here
		s.step = func(at string) {
			mu.Lock()
			defer mu.Unlock()
			if passed == n {
				point = at
				if err := meanwhile(other); !expected(err) {
					t.Errorf("at %q: %v", at, err)
				}
			}
			passed++
		}
		err := do(s)
		if point == "" {
			return // all points had their turn
		}
		if !expected(err) {
			t.Errorf("with the other at %q: %v", point, err)
		}
		s.step = func(string) {}
		s.abandoned = 0
		if err := s.Reconcile(background, unlocked); err != nil {
			t.Errorf("with the other at %q: %v", point, err)
		}
		check(mountpoint)
		if t.Failed() {
			t.Fatalf("at point %d, %q", n, point)
		}
	}
}

func TestARestorationBesideACreationAtItsPath(t *testing.T) {
	theirs := spec("theirs")
	theirs.Path = "team/shared"
	ours := spec("ours")
	ours.Path = theirs.Path
	trashed := func(s *Store) {
		create(t, s, theirs)
		if err := s.Delete(background, "theirs"); err != nil {
			t.Fatal(err)
		}
	}
	confirmed := func(s *Store) error { _, err := s.Create(ours); return err }
	check := func(mountpoint string) {
		audit(t, mountpoint)
		s := open(t, mountpoint)
		for _, id := range []string{"ours", "theirs"} {
			if _, err := s.Get(id); err == nil {
				publish(t, s, Access{ID: id})
			}
		}
	}
	t.Run("at each point of the creation", func(t *testing.T) { atEachPoint(t, trashed, confirmed, restoreOnly, check) })
	t.Run("at each point of the restoration", func(t *testing.T) { atEachPoint(t, trashed, restoreOnly, confirmed, check) })
}

// Whatever stands still between a look and an act, however long, does nothing to the volume that has come to that
// path meanwhile.
func TestWhatStoodStillHarmsNotTheNextVolume(t *testing.T) {
	first, next := spec("first"), spec("next")
	first.Path, next.Path = "team/shared", "team/shared"
	file := filepath.Join(next.Path, "dear")
	makeNext := func(s *Store) error {
		if err := s.Delete(background, "first"); err != nil {
			return err
		}
		if _, err := s.Create(next); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(rootOf(s), file), []byte("data"), 0o600)
	}
	check := func(mountpoint string) {
		found := audit(t, mountpoint)
		if data, err := os.ReadFile(filepath.Join(mountpoint, file)); len(found) > 0 && string(data) != "data" {
			if _, getErr := open(t, mountpoint).Get("next"); getErr == nil {
				t.Errorf("the next volume's file: %q, %v", data, err)
			}
		}
	}
	remove := func(s *Store) error { return s.Delete(background, "first") }
	for name, prepare := range map[string]func(s *Store){
		"a deletion": func(s *Store) { create(t, s, first) },
		"the undoing of a creation": func(s *Store) {
			cut(s, stepMode, func(s *Store) { _, _ = s.Create(first) })
			s.recent = 0
		},
		"the undoing of one without a gfid": func(s *Store) {
			cut(s, stepMade, func(s *Store) { _, _ = s.Create(first) })
			s.recent = 0
		},
	} {
		t.Run(name, func(t *testing.T) { atEachPoint(t, prepare, remove, makeNext, check) })
	}
}

// A directory that another has moved since it was opened is on no brick where it was, which is not the same as two names.
func TestADirectoryThatAnotherMovesHasOneName(t *testing.T) {
	for name, test := range map[string]struct {
		prepare      func(s *Store) error
		do, anothers func(s *Store) error
	}{
		"deleted by two": {
			prepare:  func(*Store) error { return nil },
			do:       func(s *Store) error { return s.Delete(background, "vol") },
			anothers: func(s *Store) error { return s.Delete(background, "vol") },
		},
		"restored while it is reaped": {
			prepare:  func(s *Store) error { return s.Delete(background, "vol") },
			do:       func(s *Store) error { _, err := s.Reap(background, 0); return err },
			anothers: restoreOnly,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			create(t, s, spec("vol"))
			must(t, test.prepare(s))
			met := false
			s.step = func(point string) {
				if point == stepSeen && !met {
					met = true
					must(t, test.anothers(open(t, mountpoint)))
				}
			}
			if err := test.do(s); err != nil && !errors.Is(err, ErrBusy) || !met {
				t.Errorf("it was met: %t, %v", met, err)
			}
			audit(t, mountpoint)
		})
	}
}

// A creation that stands still until it was taken back, and its path given to another, makes no volume.
func TestACreationThatStoodStillDoesNotTakeTheNextVolumesPath(t *testing.T) {
	first, next := spec("first"), spec("next")
	first.Path, next.Path = "team/shared", "team/shared"
	makeNext := func(s *Store) error {
		if err := s.Delete(background, "first"); err != nil {
			return err
		}
		_, err := s.Create(next)
		return err
	}
	do := func(s *Store) error { _, err := s.Create(first); return err }
	atEachPoint(t, func(s *Store) { create(t, s, spec("zeroth")) }, do, makeNext, func(mountpoint string) { audit(t, mountpoint) })
}

// A pod that has the parent as its volume may put anything in a volume's place at any moment.
func TestWhatAPodPutsInAVolumesPlaceIsPutBack(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("vol"))
	place := filepath.Join(mountpoint, "vol")
	s.step = func(point string) {
		if point == stepFound {
			if err := errors.Join(os.Rename(place, place+".moved"), os.Mkdir(place, 0o755), os.WriteFile(filepath.Join(place, "theirs"), nil, 0o600)); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.Delete(background, "vol"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(place, "theirs")); err != nil {
		t.Error(err)
	}
	entries, err := s.TrashEntries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	s.recent = 0
	_, err = s.Restore(entries[0].Name)
	wants(t, err, ErrNotFound, "its data is gone")
}

// The directory of a volume that is there is not emptied, whatever the trash says. A brick that forgot a rename when
// its power went brings such an entry back.
func TestTheReaperLeavesTheDirectoryOfAVolumeThatIsThere(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("vol"))
	must(t, s.Delete(background, "vol"))
	entries, err := s.TrashEntries()
	must(t, err)
	entry := entries[0].Name
	record, err := os.ReadFile(filepath.Join(mountpoint, trashFile(entry)+recordSuffix))
	must(t, err, restoreOnly(s), os.WriteFile(filepath.Join(mountpoint, trashFile(entry)+recordSuffix), record, 0o600))
	// As both names lead to one directory then, so does what stands for the second here.
	must(t, os.Rename(filepath.Join(mountpoint, "vol"), filepath.Join(mountpoint, trashFile(entry))))
	n, err := s.Reap(background, 0)
	wants(t, err, ErrForeign, "vol", "which is there")
	wants(t, s.Purge(background, entry, &Purging{}), ErrForeign)
	if _, statErr := os.Stat(filepath.Join(mountpoint, trashFile(entry))); n != 0 || statErr != nil {
		t.Errorf("reaped %d, %v", n, statErr)
	}
}
