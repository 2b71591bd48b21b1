// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// Under qemu-user, where the tests run as arm64, a brick of a fixed size cannot be made: it
// needs open_tree.

package trash_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestOnAFullGlusterVolumeDeletingWorksAndFreesSpace(t *testing.T) {
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := volumes.Open(t, mountpoint)
	retained := volumes.Spec("retained")
	retained.OnDelete = volume.Retain
	for _, spec := range []volume.Spec{volumes.Spec("vol"), volumes.Spec("empty"), retained} {
		volumes.Create(t, s, spec)
	}
	fill(t, filepath.Join(mountpoint, "vol", "ballast"))
	_, err := s.Create(volumes.Spec("late"))
	volumes.Wants(t, err, volume.ErrNoSpace, "trash purge")
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready empty", "ready retained", "ready vol")

	for _, id := range []string{"empty", "vol", "retained"} {
		for range 2 {
			if err := s.Delete(volumes.Background, id); err != nil {
				t.Error(err)
			}
		}
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory retained", "trash empty", "trash vol")
	// What was deleted in the last hour stays, whatever the Gluster volume has left.
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 0 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory retained", "trash empty", "trash vol")
	var low []trash.Low
	telling := lifecycle.New(s.Trash.Store, &trash.Memory{Low: func(l trash.Low) { low = append(low, l) }})
	// Not when they are due, but because there is no space, which the older does not give.
	s.Earliest = 0
	if n, err := telling.Trash.Reap(volumes.Background, time.Hour); n != 2 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	if len(low) != 1 || low[0].Waiting != 2 || low[0].Next.Record.Name != "empty" {
		t.Errorf("it was told %+v, and not once that `empty` goes first of two", low)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory retained")
	// The bricks look at their free space every few seconds only (storage.reserve).
	testcluster.Eventually(t, 20*time.Second, func() error {
		_, err := s.Create(volumes.Spec("late"))
		return err
	})
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory retained", "ready late")
}

// A driver of before has made no file whose sync puts on disk what is done, and there is no room for one.
func TestOnAFullGlusterVolumeOfAnEarlierVersionDeletingWorks(t *testing.T) {
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	earlier := volumes.Open(t, mountpoint)
	volumes.Create(t, earlier, volumes.Spec("vol"))
	volumes.Create(t, earlier, volumes.Spec("other"))
	volumes.Must(t, os.RemoveAll(filepath.Join(mountpoint, volume.OwnDir, "commit")))
	fill(t, filepath.Join(mountpoint, "vol", "ballast"))
	s := volumes.Open(t, mountpoint)
	s.Earliest = 0
	volumes.Must(t, s.Delete(volumes.Background, "vol"), s.Delete(volumes.Background, "vol"))
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready other", "trash vol")
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready other")
}

// A deletion that a kill has cut short on a full Gluster volume comes to its end there, too.
func TestOnAFullGlusterVolumeDeletingIsFinished(t *testing.T) {
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := volumes.Open(t, mountpoint)
	volumes.Create(t, s, volumes.Spec("full"))
	points := map[string]string{"repeated": "delete: record moved", "reconciled": "delete: record moved", "reaped": "reap: entry doomed"}
	for name := range points {
		volumes.Create(t, s, volumes.Spec(name))
	}
	fill(t, filepath.Join(mountpoint, "full", "ballast"))
	for name, point := range points {
		volumes.StopAt(volumes.Open(t, mountpoint), point, func(s *lifecycle.Volumes) {
			err := s.Delete(volumes.Background, name)
			if err == nil {
				_, err = s.Trash.Reap(volumes.Background, 0)
			}
			t.Errorf("%s was not cut short: %v", name, err)
		})
	}
	s.Recent, s.Abandoned = 0, 0
	if err := errors.Join(s.Delete(volumes.Background, "repeated"), s.Reconcile(volumes.Background, volumes.Unlocked)); err != nil {
		t.Error(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "doomed reaped", "ready full", "trash reconciled", "trash repeated")
	if n, err := s.Trash.Reap(volumes.Background, -time.Hour); n != 3 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready full")
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
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := volumes.Open(t, mountpoint)
	for _, name := range []string{"older", "newer"} {
		volumes.Create(t, s, volumes.Spec(name))
		if err := os.WriteFile(filepath.Join(mountpoint, name, "f"), make([]byte, 8<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(volumes.Background, name); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 0 || err != nil {
		t.Fatalf("reaped %d with space left, %v", n, err)
	}
	volumes.Create(t, s, volumes.Spec("vol"))
	fill(t, filepath.Join(mountpoint, "vol", "ballast"))
	s.Earliest = 0
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol", "trash newer")
}

// A creation that was killed before its gfid was recorded can be undone where nothing can be written any more.
func TestOnAFullGlusterVolumeACreationIsTakenBack(t *testing.T) {
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := volumes.Open(t, mountpoint)
	volumes.Create(t, s, volumes.Spec("full"))
	nested := volumes.Spec("made")
	nested.Path = "team/made"
	volumes.StopAt(volumes.Open(t, mountpoint), "create: directory made", func(s *lifecycle.Volumes) { _, _ = s.Create(nested) })
	volumes.StopAt(volumes.Open(t, mountpoint), "create: directory made", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("reconciled")) })
	for _, made := range []string{"team/made", "reconciled"} {
		if _, err := os.Stat(filepath.Join(mountpoint, made)); err != nil {
			t.Error(err)
		}
	}
	fill(t, filepath.Join(mountpoint, "full", "ballast"))
	s.Recent = 0
	if err := s.Delete(volumes.Background, "made"); err != nil {
		t.Error(err)
	}
	s.Abandoned = 0
	if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
		t.Error(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready full")
}

func TestOnAFullGlusterVolumeWhatIsToBeRestoredIsKept(t *testing.T) {
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := volumes.Open(t, mountpoint)
	s.Earliest = 0
	for _, name := range []string{"full", "dear", "other"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	for _, name := range []string{"dear", "other"} {
		if err := s.Delete(volumes.Background, name); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, filepath.Join(mountpoint, "full", "ballast"))
	entries, err := s.Trash.TrashEntries()
	if err != nil || len(entries) != 2 {
		t.Fatalf("%+v, %v", entries, err)
	}
	dear := entries[0].Name
	_, err = s.Trash.Restore(dear)
	volumes.Wants(t, err, volume.ErrNoSpace, "trash hold", "purge other")
	if strings.Contains(err.Error(), "or purge the trash") {
		t.Errorf("it tells to purge what is to be restored: %v", err)
	}
	for range 2 {
		if err := s.Trash.Hold(dear); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Trash.Restore(dear)
	volumes.Wants(t, err, volume.ErrNoSpace)
	volumes.Same(t, volumes.Audit(t, mountpoint), "held dear", "ready full", "trash other")
	if n, err := s.Trash.Reap(volumes.Background, day); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "held dear", "ready full")
}

// What a Gluster volume runs out of first may be inodes, which the trash holds as well as bytes.
func TestWithoutAnInodeTheTrashGoesEarly(t *testing.T) {
	_, _, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := volumes.Open(t, mountpoint)
	volumes.Create(t, s, volumes.Spec("vol"))
	var err error
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(mountpoint, "vol", strconv.Itoa(i)), nil, 0o600)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(mountpoint, &st); err != nil || float64(st.Bavail) < 0.5*float64(st.Blocks) {
		t.Fatalf("%d of %d blocks are free, %v", st.Bavail, st.Blocks, err)
	}
	if available, _, err := s.Capacity(); available > 0 && st.Ffree == 0 || err != nil {
		t.Errorf("%d bytes are available, %v", available, err)
	}
	_, err = s.Create(volumes.Spec("late"))
	volumes.Wants(t, err, volume.ErrNoSpace, "no inode left", "trash purge")
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	s.Earliest = 0
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	testcluster.Eventually(t, 20*time.Second, func() error {
		_, err := s.Create(volumes.Spec("late"))
		return err
	})
}
