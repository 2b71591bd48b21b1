// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"path/filepath"
	"testing"
)

// flatten makes of the driver's own files what it had before they were spread, and before records had a generation.
func flatten(t *testing.T, mountpoint string) {
	t.Helper()
	for _, kind := range []string{volumesDir, trashDir, creatingDir, pathsDir} {
		files, err := filepath.Glob(filepath.Join(mountpoint, ownDir, kind, "??", "*"))
		must(t, err)
		for _, at := range files {
			if filepath.Ext(at) == recordSuffix {
				older(t, at)
			}
			must(t, os.Rename(at, filepath.Join(mountpoint, ownDir, kind, filepath.Base(at))))
		}
		shards, err := filepath.Glob(filepath.Join(mountpoint, ownDir, kind, "??"))
		must(t, err)
		for _, shard := range shards {
			must(t, os.Remove(shard))
		}
	}
}

func flattened(t *testing.T) (*Store, string) {
	t.Helper()
	s, mountpoint := storeOf(t)
	nested := spec("nested")
	nested.Path = "team/app/nested"
	for _, wanted := range []Spec{spec("vol"), nested, spec("deleted"), spec("reaped")} {
		create(t, s, wanted)
	}
	must(t, s.Delete(background, "deleted"), s.Delete(background, "reaped"))
	flatten(t, mountpoint)
	s = open(t, mountpoint) // has opened nothing yet
	s.recent, s.abandoned = 0, 0
	return s, mountpoint
}

// Volumes, trash and claims of the version before are what they were, before and after they have been moved.
func TestWhatWasInOneDirectoryIsFoundThere(t *testing.T) {
	for name, prepare := range map[string]func(s *Store){
		"where it was":  func(*Store) {},
		"after a round": func(s *Store) { must(t, s.Reconcile(background, unlocked)) },
		"after two":     func(s *Store) { must(t, s.Reconcile(background, unlocked), s.Reconcile(background, unlocked)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := flattened(t)
			prepare(s)
			page, err := s.List("", 10)
			must(t, err, page.Damaged)
			if len(page.Records) != 2 {
				t.Errorf("listed: %+v", page.Records)
			}
			finds(t, s, false)
			if again := create(t, s, spec("vol")); again.Generation != 0 {
				t.Errorf("made anew: %+v", again)
			}
			publish(t, s, Access{ID: "nested"})
			intruder := spec("intruder")
			intruder.Path = "vol"
			_, err = s.Create(intruder)
			wants(t, err, ErrForeign, "vol")
			inner := spec("inner")
			inner.Path = "team/app/nested/inner"
			_, err = s.Create(inner)
			wants(t, err, ErrNested)
			entries, err := s.TrashEntries()
			must(t, err)
			for _, e := range entries {
				if e.Record.ID == "deleted" {
					_, err = s.Restore(e.Name)
					must(t, err)
				}
			}
			if n, err := s.Reap(background, 0); n != 1 || err != nil {
				t.Errorf("reaped %d, %v", n, err)
			}
			must(t, s.Delete(background, "nested"), s.Delete(background, "deleted"))
			must(t, s.Reconcile(background, unlocked))
			same(t, audit(t, mountpoint), "ready vol", "trash deleted", "trash nested")
		})
	}
}

// What is moved is looked for in one place then: a store that knows so asks for no other.
func TestWhatWasSpreadIsLookedForInOnePlace(t *testing.T) {
	s, _ := flattened(t)
	if n, err := s.Reap(background, 0); n != 2 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	for range 2 { // in the second it sees that nothing is left
		must(t, s.Reconcile(background, unlocked))
	}
	for _, kind := range []string{volumesDir, trashDir, creatingDir, pathsDir} {
		homes, err := s.homes(kind, "vol")
		if err != nil || len(homes) > 1 {
			t.Errorf("%s is looked for in %d places, %v", kind, len(homes), err)
		}
	}
}
