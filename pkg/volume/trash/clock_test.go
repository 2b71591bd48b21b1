// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package trash_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// restamp gives a file of the driver's the name that it would have got from a clock that is wrong by d.
func restamp(t *testing.T, dir, suffix string, d time.Duration) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*Z"+suffix))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	old := files[0][:len(files[0])-len(suffix)]
	id, at, ok := volume.ParseStamp(filepath.Base(old))
	if !ok {
		t.Fatalf("no stamp: %s", old)
	}
	renamed := filepath.Join(dir, volume.StampOf(id, at.Add(d)))
	err = os.Rename(old+suffix, renamed+suffix)
	if _, statErr := os.Stat(old); statErr == nil {
		err = errors.Join(err, os.Rename(old, renamed))
	}
	if err != nil {
		t.Fatal(err)
	}
}

const day = 24 * time.Hour

func TestWhatWasDeletedByAWrongClockIsKept(t *testing.T) {
	for name, test := range map[string]struct {
		wrong time.Duration
		right bool // the reaper's own clock, as far as its kernel knows
	}{
		"a day behind":                          {-25 * time.Hour, true},
		"a day behind, and so may the reaper's": {-25 * time.Hour, false},
		"a day ahead":                           {25 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.Create(t, s, volumes.Spec("vol"))
			if err := s.Delete(volumes.Background, "vol"); err != nil {
				t.Fatal(err)
			}
			restamp(t, filepath.Join(mountpoint, volume.OwnDir, owndir.TrashDir, volumes.ShardOf("vol")), store.RecordSuffix, test.wrong)
			s.IsClockRight = func() bool { return test.right }
			for range 3 {
				if n, err := s.Trash.Reap(volumes.Background, day); n != 0 || err != nil {
					t.Fatalf("reaped %d, %v", n, err)
				}
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), "trash vol")
			// Seen for as long as anything must have been.
			s.Abandoned = 0
			want := 0
			if test.wrong < 0 && test.right {
				want = 1
			}
			if n, err := s.Trash.Reap(volumes.Background, day); n != want || err != nil {
				t.Errorf("reaped %d, want %d, %v", n, want, err)
			}
			// Seen for all its time.
			if n, err := s.Trash.Reap(volumes.Background, time.Nanosecond); n != 1-want || err != nil {
				t.Errorf("reaped %d, want %d, %v", n, 1-want, err)
			}
		})
	}
}

func TestWhatWasInterruptedByAWrongClockIsTakenUp(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"a day behind": -day, "a day ahead": day} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.Create(t, s, volumes.Spec("first"))
			volumes.StopAt(volumes.Open(t, mountpoint), "create: path claimed", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("vol")) })
			r := volume.NewRecord(volumes.Spec("vol"))
			r.Created = r.Created.Add(wrong)
			volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, volumes.RecordFile("vol")), r.Encode(), 0o600), os.Remove(filepath.Join(mountpoint, volumes.ClaimFile("vol"))),
				os.Symlink(volume.PathClaim{Stamp: r.Stamp(), Path: "vol"}.String(), filepath.Join(mountpoint, volumes.ClaimFile("vol"))))
			s.Recent = 50 * time.Millisecond
			testcluster.Eventually(t, 10*time.Second, func() error { return s.Delete(volumes.Background, "vol") })
			volumes.Same(t, volumes.Audit(t, mountpoint), "ready first")
		})
	}
}
