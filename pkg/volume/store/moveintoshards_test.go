// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// flatten makes of the driver's own files what it had before they were spread, and before records had a generation.
func flatten(t *testing.T, mountpoint string) {
	t.Helper()
	for _, kind := range []string{owndir.VolumesDir, owndir.TrashDir, owndir.CreatingDir, owndir.PathsDir} {
		files, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, kind, "??", "*"))
		volumes.Must(t, err)
		for _, at := range files {
			if filepath.Ext(at) == store.RecordSuffix {
				volumes.ForgetGeneration(t, at)
			}
			volumes.Must(t, os.Rename(at, filepath.Join(mountpoint, volume.OwnDir, kind, filepath.Base(at))))
		}
		shards, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, kind, "??"))
		volumes.Must(t, err)
		for _, shard := range shards {
			volumes.Must(t, os.Remove(shard))
		}
	}
}

func flattened(t *testing.T) (*lifecycle.Volumes, string) {
	t.Helper()
	s, mountpoint := volumes.OnGV0(t)
	nested := volumes.Spec("nested")
	nested.Path = "team/app/nested"
	for _, wanted := range []volume.Spec{volumes.Spec("vol"), nested, volumes.Spec("deleted"), volumes.Spec("reaped")} {
		volumes.Create(t, s, wanted)
	}
	volumes.Must(t, s.Delete(volumes.Background, "deleted"), s.Delete(volumes.Background, "reaped"))
	flatten(t, mountpoint)
	s = volumes.Open(t, mountpoint) // has opened nothing yet
	s.Recent, s.Abandoned = 0, 0
	return s, mountpoint
}

// Volumes, trash and claims of the version before are what they were, before and after they have been moved.
func TestWhatWasInOneDirectoryIsFoundThere(t *testing.T) {
	for name, prepare := range map[string]func(s *lifecycle.Volumes){
		"where it was":  func(*lifecycle.Volumes) {},
		"after a round": func(s *lifecycle.Volumes) { volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked)) },
		"after two": func(s *lifecycle.Volumes) {
			volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked), s.Reconcile(volumes.Background, volumes.Unlocked))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := flattened(t)
			prepare(s)
			page, err := s.List("", 10)
			volumes.Must(t, err, page.Damaged)
			if len(page.Records) != 2 {
				t.Errorf("listed: %+v", page.Records)
			}
			volumes.Finds(t, s, false)
			if again := volumes.Create(t, s, volumes.Spec("vol")); again.Generation != 0 {
				t.Errorf("made anew: %+v", again)
			}
			volumes.Publish(t, s, lifecycle.Access{ID: "nested"})
			intruder := volumes.Spec("intruder")
			intruder.Path = "vol"
			_, err = s.Create(intruder)
			volumes.Wants(t, err, volume.ErrForeign, "vol")
			inner := volumes.Spec("inner")
			inner.Path = "team/app/nested/inner"
			_, err = s.Create(inner)
			volumes.Wants(t, err, volume.ErrNested)
			entries, err := s.Trash.TrashEntries()
			volumes.Must(t, err)
			for _, e := range entries {
				if e.Record.ID == "deleted" {
					_, err = s.Trash.Restore(e.Name)
					volumes.Must(t, err)
				}
			}
			if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
				t.Errorf("reaped %d, %v", n, err)
			}
			volumes.Must(t, s.Delete(volumes.Background, "nested"), s.Delete(volumes.Background, "deleted"))
			volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
			volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol", "trash deleted", "trash nested")
		})
	}
}

// What is moved is looked for in one place then: a store that knows so asks for no other.
func TestWhatWasSpreadIsLookedForInOnePlace(t *testing.T) {
	s, _ := flattened(t)
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 2 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	for range 2 { // in the second it sees that nothing is left
		volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	}
	for _, kind := range []string{owndir.VolumesDir, owndir.TrashDir, owndir.CreatingDir, owndir.PathsDir} {
		shards, err := s.ExistingShards(kind, "vol")
		if err != nil || len(shards) > 1 {
			t.Errorf("%s is looked for in %d places, %v", kind, len(shards), err)
		}
	}
}
