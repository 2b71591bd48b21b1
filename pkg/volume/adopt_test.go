// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"path/filepath"
	"testing"
)

// legacy is a directory that somebody has made, with a file in it.
func legacy(t *testing.T, mountpoint, path string) {
	t.Helper()
	at := filepath.Join(mountpoint, path)
	must(t, os.MkdirAll(at, 0o755), os.WriteFile(filepath.Join(at, "file"), []byte("data"), 0o600), os.Chown(at, 1234, 5678), os.Chmod(at, 0o751))
}

func isAsItWas(t *testing.T, mountpoint, path string) {
	t.Helper()
	if got := owner(t, filepath.Join(mountpoint, path)); got != "1234:5678 0751" {
		t.Errorf("%s has %s", path, got)
	}
	if data, err := os.ReadFile(filepath.Join(mountpoint, path, "file")); err != nil || string(data) != "data" {
		t.Errorf("%s has %q, %v", path, data, err)
	}
}

func TestAnAdoptedDirectoryIsAVolume(t *testing.T) {
	_, mountpoint := storeOf(t)
	s := privilegedStore(t, mountpoint)
	s.abandoned = 0
	legacy(t, mountpoint, "old/data")
	before := []string{"directory old", "directory old/data"}
	for _, giveUp := range []func() error{
		func() error { return s.GiveBack("vol") },
		func() error { return s.Delete(background, "vol") },
	} {
		for range 2 { // the second finds it
			r, err := s.Adopt(background, "vol", "old/data", 1<<30)
			if err != nil || r.Origin != Adopted || r.Capacity != 1<<30 || r.Enforced {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		isAsItWas(t, mountpoint, "old/data")
		same(t, audit(t, mountpoint), "directory old", "ready vol")
		expand(t, s, "vol", 2<<30, 0, 2<<30)
		if _, err := s.Modify("vol", Changes{OnDelete: Delete, Quota: QuotaEnforced, Enforced: true}); err != nil {
			t.Fatal(err)
		}
		if got := limitAt(t, s, "old/data"); got != 2<<30 {
			t.Errorf("its limit is %d", got)
		}
		dir, root, err := s.Directory(background, Access{ID: "vol", Path: "old/data"})
		if err != nil || root != "/old/data" {
			t.Fatalf("%q, %v", root, err)
		}
		dir.Close()
		below := spec("below")
		below.Path = "old/data/below"
		_, err = s.Create(below)
		wants(t, err, ErrNested, "old/data")

		must(t, giveUp(), s.Delete(background, "vol"), s.Reconcile(background, unlocked))
		isAsItWas(t, mountpoint, "old/data")
		same(t, audit(t, mountpoint), before...)
		if got := limitAt(t, s, "old/data"); got != 0 {
			t.Errorf("it has the limit %d", got)
		}
	}
	wants(t, s.GiveBack("vol"), ErrNotFound, "vol")
}

func TestDirectoriesThatAreNotAdopted(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("made"))
	deep := spec("deep")
	deep.Path = "team/app/deep"
	create(t, s, deep)
	create(t, s, spec("moved"))
	half := spec("half")
	half.Path = "cut/half"
	cut(open(t, mountpoint), stepPathHeld, func(s *Store) { _, _ = s.Create(half) })
	back := spec("back")
	back.Path = "restored/back"
	create(t, s, back)
	must(t, s.Delete(background, "back"))
	entries, err := s.TrashEntries()
	must(t, err)
	cut(open(t, mountpoint), stepPlaced, func(s *Store) { _, _ = s.Restore(entries[0].Name) })
	legacy(t, mountpoint, "mine")
	legacy(t, mountpoint, "made/inside")
	legacy(t, mountpoint, "holder")
	if _, err := s.Adopt(background, "mine", "mine", 5); err != nil {
		t.Fatal(err)
	}
	must(t, os.Rename(filepath.Join(mountpoint, "moved"), filepath.Join(mountpoint, "holder", "elsewhere")),
		os.WriteFile(filepath.Join(mountpoint, "plain"), nil, 0o600), os.Symlink("mine", filepath.Join(mountpoint, "link")))

	for _, test := range []struct {
		what, id, path string
		capacity       int64
		want           error
		mention        string
	}{
		{"what is not there", "vol", "none", 0, ErrNotFound, "none"},
		{"a file", "vol", "plain", 0, ErrForeign, "plain"},
		{"a symbolic link", "vol", "link", 0, ErrForeign, "link"},
		{"the root", "vol", ".", 0, ErrInvalid, ""},
		{"the driver's directory", "vol", ownDir, 0, ErrInvalid, ownDir},
		{"what is in the driver's directory", "vol", ownDir + "/trash", 0, ErrInvalid, ownDir},
		{"a path that climbs", "vol", "mine/../mine", 0, ErrInvalid, ""},
		{"a volume", "vol", "made", 0, ErrForeign, "volume made"},
		{"what lies in a volume", "vol", "made/inside", 0, ErrNested, "volume made"},
		{"a directory above volumes", "vol", "team", 0, ErrNested, "team/app/deep"},
		{"a directory of the driver's that has a volume", "vol", "team/app", 0, ErrNested, "team/app/deep"},
		{"a directory above one that is being made", "vol", "cut", 0, ErrNested, "cut/half"},
		{"a directory above one that is being restored", "vol", "restored", 0, ErrNested, "restored/back"},
		{"a volume that was moved by hand", "vol", "holder/elsewhere", 0, ErrNested, "volume moved"},
		{"another directory under the ID of a volume", "made", "holder", 0, ErrIncompatible, "another ID"},
		{"another directory under the ID of one that is adopted", "mine", "holder", 0, ErrIncompatible, "mine"},
		{"what is adopted, with another capacity", "mine", "mine", 6, ErrIncompatible, "5 bytes"},
		{"what is adopted, under another ID", "vol", "mine", 5, ErrForeign, "volume mine"},
		{"an ID that is none", "../vol", "holder", 0, ErrInvalid, "../vol"},
		{"a capacity that is none", "vol", "holder", -1, ErrInvalid, "-1"},
	} {
		t.Run(test.what, func(t *testing.T) {
			_, err := s.Adopt(background, test.id, test.path, test.capacity)
			wants(t, err, test.want, test.mention)
		})
	}
	wants(t, s.GiveBack("made"), ErrInvalid, "delete its claim")
	if f, err := s.look("vol"); err != nil || f.state != absent {
		t.Errorf("something is left of what was refused: %+v, %v", f, err)
	}
	isAsItWas(t, mountpoint, "mine")
}

// At each point of an adoption another process makes a volume in the directory, and the other way round.
func TestAnAdoptionBesideACreationInTheDirectory(t *testing.T) {
	below := spec("below")
	below.Path = "old/data/below"
	adopt := func(s *Store) error { _, err := s.Adopt(background, "vol", "old/data", 0); return err }
	makeBelow := func(s *Store) error { _, err := s.Create(below); return err }
	for name, order := range map[string][2]func(*Store) error{"adopted first": {adopt, makeBelow}, "made first": {makeBelow, adopt}} {
		for point := 0; ; point++ {
			_, mountpoint := storeOf(t)
			legacy(t, mountpoint, "old/data")
			first, second := open(t, mountpoint), open(t, mountpoint)
			passed := 0
			var secondErr error
			first.step = func(string) {
				if passed++; passed == point+1 {
					secondErr = order[1](second)
				}
			}
			oneByOne(first)
			firstErr := order[0](first)
			if passed <= point {
				break
			}
			if firstErr == nil && secondErr == nil {
				t.Errorf("%s, point %d: a volume lies in another: %q", name, point, audit(t, mountpoint))
			}
			s := open(t, mountpoint)
			s.recent, s.abandoned = 0, 0
			if err := s.Reconcile(background, unlocked); err != nil {
				t.Error(err)
			}
			audit(t, mountpoint)
			isAsItWas(t, mountpoint, "old/data")
		}
	}
}

// Of two that adopt one directory one has it.
func TestOfTwoThatAdoptOneDirectoryOneGetsIt(t *testing.T) {
	_, mountpoint := storeOf(t)
	legacy(t, mountpoint, "data")
	first := open(t, mountpoint)
	var secondErr error
	first.step = func(point string) {
		if point == stepCompleted {
			_, secondErr = open(t, mountpoint).Adopt(background, "second", "data", 0)
		}
	}
	_, firstErr := first.Adopt(background, "first", "data", 0)
	if (firstErr == nil) == (secondErr == nil) {
		t.Errorf("the first: %v; the second: %v", firstErr, secondErr)
	}
	if left := audit(t, mountpoint); len(left) > 1 {
		t.Errorf("left: %q", left)
	}
	isAsItWas(t, mountpoint, "data")
}
