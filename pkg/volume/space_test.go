// SPDX-License-Identifier: Apache-2.0

//go:build amd64

// Under qemu-user, where the tests run as arm64, a brick of a fixed size cannot be made: it
// needs open_tree.

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestAFullGlusterVolumeSaysSoAndDeletingStillWorks(t *testing.T) {
	_, _, mountpoint := fresh(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	s := open(t, mountpoint)
	create(t, s, spec("vol"))
	fill(t, filepath.Join(mountpoint, "vol", "ballast"))
	_, err := s.Create(spec("late"))
	wants(t, err, ErrNoSpace, "trash purge")
	if err := os.Remove(filepath.Join(mountpoint, "vol", "ballast")); err != nil {
		t.Fatal(err)
	}
	// The bricks look at their free space every few seconds only (storage.reserve).
	testcluster.Eventually(t, 20*time.Second, func() error {
		_, err := s.Create(spec("late"))
		return err
	})
	same(t, audit(t, mountpoint), "ready late", "ready vol")
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
	if n, err := s.Reap(background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "ready vol", "trash newer")
}
