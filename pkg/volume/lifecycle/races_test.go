// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A link is made once, on every kind of Gluster volume; each racer has a creation that lives.
func TestOfTwoThatWantOnePathOneGetsIt(t *testing.T) {
	for name, options := range map[string]testcluster.VolumeOptions{"replicate": {}, "distribute": {Subvolumes: 2}} {
		t.Run(name, func(t *testing.T) {
			_, _, at := volumes.TwoClients(t, options)
			const paths = 100
			racers := []*lifecycle.Volumes{volumes.Open(t, at[0]), volumes.Open(t, at[1]), volumes.Open(t, at[0]), volumes.Open(t, at[1])}
			var won [paths]atomic.Int32
			var all sync.WaitGroup
			for i, s := range racers {
				wanted := volumes.Spec(fmt.Sprint("racer", i))
				r := volume.NewRecord(wanted)
				c, err := s.Creations.ClaimRecord(r)
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				all.Go(func() {
					for p := range paths {
						h := volume.PathClaim{Stamp: r.Stamp(), Path: fmt.Sprint("path", p)}
						held, err := s.ClaimPath(h)
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
func atEachPoint(t *testing.T, prepare func(s *lifecycle.Volumes), do, meanwhile func(s *lifecycle.Volumes) error, check func(mountpoint string)) {
	t.Helper()
	for n := 0; ; n++ {
		s, mountpoint := volumes.OnGV0(t)
		prepare(s)
		other := volumes.Open(t, mountpoint)
		other.Recent = 0
		passed, point := 0, ""
		var mu sync.Mutex // of what is done beside each other, one waits for the other here
		s.Step = func(at string) {
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
		s.Step = func(string) {}
		s.Abandoned = 0
		if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
			t.Errorf("with the other at %q: %v", point, err)
		}
		check(mountpoint)
		if t.Failed() {
			t.Fatalf("at point %d, %q", n, point)
		}
	}
}

func TestARestorationBesideACreationAtItsPath(t *testing.T) {
	theirs := volumes.Spec("theirs")
	theirs.Path = "team/shared"
	ours := volumes.Spec("ours")
	ours.Path = theirs.Path
	trashed := func(s *lifecycle.Volumes) {
		volumes.Create(t, s, theirs)
		if err := s.Delete(volumes.Background, "theirs"); err != nil {
			t.Fatal(err)
		}
	}
	confirmed := func(s *lifecycle.Volumes) error { _, err := s.Create(ours); return err }
	check := func(mountpoint string) {
		volumes.Audit(t, mountpoint)
		s := volumes.Open(t, mountpoint)
		for _, id := range []string{"ours", "theirs"} {
			if _, err := s.Get(id); err == nil {
				volumes.Publish(t, s, lifecycle.Access{ID: id})
			}
		}
	}
	t.Run("at each point of the creation", func(t *testing.T) { atEachPoint(t, trashed, confirmed, volumes.RestoreOnly, check) })
	t.Run("at each point of the restoration", func(t *testing.T) { atEachPoint(t, trashed, volumes.RestoreOnly, confirmed, check) })
}

// Whatever stands still between a look and an act, however long, does nothing to the volume that has come to that
// path meanwhile.
func TestWhatStoodStillHarmsNotTheNextVolume(t *testing.T) {
	first, next := volumes.Spec("first"), volumes.Spec("next")
	first.Path, next.Path = "team/shared", "team/shared"
	file := filepath.Join(next.Path, "dear")
	makeNext := func(s *lifecycle.Volumes) error {
		if err := s.Delete(volumes.Background, "first"); err != nil {
			return err
		}
		if _, err := s.Create(next); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(volumes.RootOf(s), file), []byte("data"), 0o600)
	}
	check := func(mountpoint string) {
		found := volumes.Audit(t, mountpoint)
		if data, err := os.ReadFile(filepath.Join(mountpoint, file)); len(found) > 0 && string(data) != "data" {
			if _, getErr := volumes.Open(t, mountpoint).Get("next"); getErr == nil {
				t.Errorf("the next volume's file: %q, %v", data, err)
			}
		}
	}
	remove := func(s *lifecycle.Volumes) error { return s.Delete(volumes.Background, "first") }
	for name, prepare := range map[string]func(s *lifecycle.Volumes){
		"a deletion": func(s *lifecycle.Volumes) { volumes.Create(t, s, first) },
		"the undoing of a creation": func(s *lifecycle.Volumes) {
			volumes.StopAt(s, "create: mode set", func(s *lifecycle.Volumes) { _, _ = s.Create(first) })
			s.Recent = 0
		},
		"the undoing of one without a gfid": func(s *lifecycle.Volumes) {
			volumes.StopAt(s, "create: directory made", func(s *lifecycle.Volumes) { _, _ = s.Create(first) })
			s.Recent = 0
		},
	} {
		t.Run(name, func(t *testing.T) { atEachPoint(t, prepare, remove, makeNext, check) })
	}
}

// A directory that another has moved since it was opened is on no brick where it was, which is not the same as two
// names.
func TestADirectoryThatAnotherMovesHasOneName(t *testing.T) {
	for name, test := range map[string]struct {
		prepare      func(s *lifecycle.Volumes) error
		do, anothers func(s *lifecycle.Volumes) error
	}{
		"deleted by two": {
			prepare:  func(*lifecycle.Volumes) error { return nil },
			do:       func(s *lifecycle.Volumes) error { return s.Delete(volumes.Background, "vol") },
			anothers: func(s *lifecycle.Volumes) error { return s.Delete(volumes.Background, "vol") },
		},
		"restored while it is reaped": {
			prepare:  func(s *lifecycle.Volumes) error { return s.Delete(volumes.Background, "vol") },
			do:       func(s *lifecycle.Volumes) error { _, err := s.Trash.Reap(volumes.Background, 0); return err },
			anothers: volumes.RestoreOnly,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.Create(t, s, volumes.Spec("vol"))
			volumes.Must(t, test.prepare(s))
			met := false
			s.Step = func(point string) {
				if point == "names: directory seen" && !met {
					met = true
					volumes.Must(t, test.anothers(volumes.Open(t, mountpoint)))
				}
			}
			if err := test.do(s); err != nil && !errors.Is(err, volume.ErrBusy) || !met {
				t.Errorf("it was met: %t, %v", met, err)
			}
			volumes.Audit(t, mountpoint)
		})
	}
}

// A creation that stands still until it was taken back, and its path given to another, makes no volume.
func TestACreationThatStoodStillDoesNotTakeTheNextVolumesPath(t *testing.T) {
	first, next := volumes.Spec("first"), volumes.Spec("next")
	first.Path, next.Path = "team/shared", "team/shared"
	makeNext := func(s *lifecycle.Volumes) error {
		if err := s.Delete(volumes.Background, "first"); err != nil {
			return err
		}
		_, err := s.Create(next)
		return err
	}
	do := func(s *lifecycle.Volumes) error { _, err := s.Create(first); return err }
	atEachPoint(t, func(s *lifecycle.Volumes) { volumes.Create(t, s, volumes.Spec("zeroth")) }, do, makeNext, func(mountpoint string) { volumes.Audit(t, mountpoint) })
}

// A pod that has the parent as its volume may put anything in a volume's place at any moment.
func TestWhatAPodPutsInAVolumesPlaceIsPutBack(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	place := filepath.Join(mountpoint, "vol")
	s.Step = func(point string) {
		if point == "delete: directory found" {
			if err := errors.Join(os.Rename(place, place+".moved"), os.Mkdir(place, 0o755), os.WriteFile(filepath.Join(place, "theirs"), nil, 0o600)); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(place, "theirs")); err != nil {
		t.Error(err)
	}
	entries, err := s.Trash.TrashEntries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	s.Recent = 0
	_, err = s.Trash.Restore(entries[0].Name)
	volumes.Wants(t, err, volume.ErrNotFound, "its data is gone")
}

// The directory of a volume that is there is not emptied, whatever the trash says. A brick that forgot a rename when
// its power went brings such an entry back.
func TestTheReaperLeavesTheDirectoryOfAVolumeThatIsThere(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, s.Delete(volumes.Background, "vol"))
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	entry := entries[0].Name
	record, err := os.ReadFile(filepath.Join(mountpoint, volumes.TrashFile(entry)+store.RecordSuffix))
	volumes.Must(t, err, volumes.RestoreOnly(s), os.WriteFile(filepath.Join(mountpoint, volumes.TrashFile(entry)+store.RecordSuffix), record, 0o600))
	// As both names lead to one directory then, so does what stands for the second here.
	volumes.Must(t, os.Rename(filepath.Join(mountpoint, "vol"), filepath.Join(mountpoint, volumes.TrashFile(entry))))
	n, err := s.Trash.Reap(volumes.Background, 0)
	volumes.Wants(t, err, volume.ErrForeign, "vol", "which is there")
	volumes.Wants(t, s.Trash.Purge(volumes.Background, entry, &trash.Purging{}), volume.ErrForeign)
	if _, statErr := os.Stat(filepath.Join(mountpoint, volumes.TrashFile(entry))); n != 0 || statErr != nil {
		t.Errorf("reaped %d, %v", n, statErr)
	}
}

// Another moves the claim of a creation aside, which is just being taken back, and puts it back.
func TestAClaimThatIsPutBackWhenItsHolderIsGoneGoes(t *testing.T) {
	const whenAllIsOver = "delete: over"
	for _, point := range []string{"undo: path given up", whenAllIsOver} {
		t.Run(point, func(t *testing.T) {
			s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
			volumes.StopAt(s, "create: path claimed", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("vol")) })
			other := volumes.Open(t, mountpoint)
			aside, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
			var once sync.Once
			other.Step = func(at string) {
				if at == "path: claim moved aside" {
					once.Do(func() { close(aside); <-goOn })
				}
			}
			go func() {
				done <- other.GivePathUp("vol", func(volume.PathClaim) (bool, error) { return false, nil })
			}()
			<-aside
			s.Step = func(at string) {
				if at == point {
					close(goOn)
					volumes.Must(t, <-done)
				}
			}
			volumes.Must(t, s.Delete(volumes.Background, "vol"))
			s.Step(whenAllIsOver)
			volumes.Same(t, volumes.Audit(t, mountpoint))
		})
	}
}
