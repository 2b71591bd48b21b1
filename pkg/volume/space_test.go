// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// Under qemu-user, where the tests run as arm64, a brick of a fixed size cannot be made: it
// needs open_tree.

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestOnAFullGlusterVolumeDeletingWorksAndFreesSpace(t *testing.T) {
	_, _, mountpoint := fresh(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := open(t, mountpoint)
	retained := spec("retained")
	retained.OnDelete = Retain
	for _, spec := range []Spec{spec("vol"), spec("empty"), retained} {
		create(t, s, spec)
	}
	fill(t, filepath.Join(mountpoint, "vol", "ballast"))
	_, err := s.Create(spec("late"))
	wants(t, err, ErrNoSpace, "trash purge")
	same(t, audit(t, mountpoint), "ready empty", "ready retained", "ready vol")

	for _, id := range []string{"empty", "vol", "retained"} {
		for range 2 {
			if err := s.Delete(background, id); err != nil {
				t.Error(err)
			}
		}
	}
	same(t, audit(t, mountpoint), "directory retained", "trash empty", "trash vol")
	// What was deleted in the last hour stays, whatever the Gluster volume has left.
	if n, err := s.Reap(background, time.Hour); n != 0 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "directory retained", "trash empty", "trash vol")
	// Not when they are due, but because there is no space, which the older does not give.
	s.earliest = 0
	if n, err := s.Reap(background, time.Hour); n != 2 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "directory retained")
	// The bricks look at their free space every few seconds only (storage.reserve).
	testcluster.Eventually(t, 20*time.Second, func() error {
		_, err := s.Create(spec("late"))
		return err
	})
	same(t, audit(t, mountpoint), "directory retained", "ready late")
}

// A driver of before has made no file whose sync puts on disk what is done, and there is no room for one.
func TestOnAFullGlusterVolumeOfAnEarlierVersionDeletingWorks(t *testing.T) {
	_, _, mountpoint := fresh(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	earlier := open(t, mountpoint)
	create(t, earlier, spec("vol"))
	create(t, earlier, spec("other"))
	must(t, os.RemoveAll(filepath.Join(mountpoint, ownDir, "commit")))
	fill(t, filepath.Join(mountpoint, "vol", "ballast"))
	s := open(t, mountpoint)
	s.earliest = 0
	must(t, s.Delete(background, "vol"), s.Delete(background, "vol"))
	same(t, audit(t, mountpoint), "ready other", "trash vol")
	if n, err := s.Reap(background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "ready other")
}

// A deletion that a kill has cut short on a full Gluster volume comes to its end there, too.
func TestOnAFullGlusterVolumeDeletingIsFinished(t *testing.T) {
	_, _, mountpoint := fresh(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := open(t, mountpoint)
	create(t, s, spec("full"))
	points := map[string]string{"repeated": stepFiled, "reconciled": stepFiled, "reaped": stepDoomed}
	for name := range points {
		create(t, s, spec(name))
	}
	fill(t, filepath.Join(mountpoint, "full", "ballast"))
	for name, point := range points {
		cut(open(t, mountpoint), point, func(s *Store) {
			err := s.Delete(background, name)
			if err == nil {
				_, err = s.Reap(background, 0)
			}
			t.Errorf("%s was not cut short: %v", name, err)
		})
	}
	s.recent, s.abandoned = 0, 0
	if err := errors.Join(s.Delete(background, "repeated"), s.Reconcile(background, unlocked)); err != nil {
		t.Error(err)
	}
	same(t, audit(t, mountpoint), "doomed reaped", "ready full", "trash reconciled", "trash repeated")
	if n, err := s.Reap(background, -time.Hour); n != 3 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "ready full")
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for size := len(block); size >= os.Getpagesize(); size /= 2 { // to the last page
		for err = nil; err == nil; {
			_, err = f.Write(block[:size])
		}
		// When only one brick is full by a page, GlusterFS says EIO.
		if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EIO) {
			t.Fatal(err)
		}
	}
}

func TestTheOldestTrashGoesEarlyWhenSpaceIsLow(t *testing.T) {
	_, _, mountpoint := fresh(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := open(t, mountpoint)
	for _, name := range []string{"older", "newer"} {
		create(t, s, spec(name))
		if err := os.WriteFile(filepath.Join(mountpoint, name, "f"), make([]byte, 8<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(background, name); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Reap(background, time.Hour); n != 0 || err != nil {
		t.Fatalf("reaped %d with space left, %v", n, err)
	}
	create(t, s, spec("vol"))
	fill(t, filepath.Join(mountpoint, "vol", "ballast"))
	s.earliest = 0
	if n, err := s.Reap(background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "ready vol", "trash newer")
}

// A creation that was killed before its gfid was recorded can be undone where nothing can be written any more.
func TestOnAFullGlusterVolumeACreationIsTakenBack(t *testing.T) {
	_, _, mountpoint := fresh(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := open(t, mountpoint)
	create(t, s, spec("full"))
	nested := spec("made")
	nested.Path = "team/made"
	cut(open(t, mountpoint), stepMade, func(s *Store) { _, _ = s.Create(nested) })
	cut(open(t, mountpoint), stepMade, func(s *Store) { _, _ = s.Create(spec("reconciled")) })
	for _, made := range []string{"team/made", "reconciled"} {
		if _, err := os.Stat(filepath.Join(mountpoint, made)); err != nil {
			t.Error(err)
		}
	}
	fill(t, filepath.Join(mountpoint, "full", "ballast"))
	s.recent = 0
	if err := s.Delete(background, "made"); err != nil {
		t.Error(err)
	}
	s.abandoned = 0
	if err := s.Reconcile(background, unlocked); err != nil {
		t.Error(err)
	}
	same(t, audit(t, mountpoint), "ready full")
}

func TestOnAFullGlusterVolumeWhatIsToBeRestoredIsKept(t *testing.T) {
	_, _, mountpoint := fresh(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := open(t, mountpoint)
	s.earliest = 0
	for _, name := range []string{"full", "dear", "other"} {
		create(t, s, spec(name))
	}
	for _, name := range []string{"dear", "other"} {
		if err := s.Delete(background, name); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, filepath.Join(mountpoint, "full", "ballast"))
	entries, err := s.TrashEntries()
	if err != nil || len(entries) != 2 {
		t.Fatalf("%+v, %v", entries, err)
	}
	dear := entries[0].Name
	_, err = s.Restore(dear)
	wants(t, err, ErrNoSpace, "trash hold", "purge other")
	if strings.Contains(err.Error(), "or purge the trash") {
		t.Errorf("it tells to purge what is to be restored: %v", err)
	}
	for range 2 {
		if err := s.Hold(dear); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Restore(dear)
	wants(t, err, ErrNoSpace)
	same(t, audit(t, mountpoint), "held dear", "ready full", "trash other")
	if n, err := s.Reap(background, day); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "held dear", "ready full")
}
