// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// legacy is a directory that somebody has made, with a file in it.
func legacy(t *testing.T, mountpoint, path string) {
	t.Helper()
	at := filepath.Join(mountpoint, path)
	volumes.Must(t, os.MkdirAll(at, 0o755), os.WriteFile(filepath.Join(at, "file"), []byte("data"), 0o600), os.Chown(at, 1234, 5678), os.Chmod(at, 0o751))
}

func isAsItWas(t *testing.T, mountpoint, path string) {
	t.Helper()
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, path)); got != "1234:5678 0751" {
		t.Errorf("%s has %s", path, got)
	}
	if data, err := os.ReadFile(filepath.Join(mountpoint, path, "file")); err != nil || string(data) != "data" {
		t.Errorf("%s has %q, %v", path, data, err)
	}
}

func TestAnAdoptedDirectoryIsAVolume(t *testing.T) {
	_, mountpoint := volumes.OnGV0(t)
	s := privilegedStore(t, mountpoint)
	s.Abandoned = 0
	legacy(t, mountpoint, "old/data")
	before := []string{"directory old", "directory old/data"}
	for _, giveUp := range []func() error{
		func() error { return s.GiveBack("vol") },
		func() error { return s.Delete(volumes.Background, "vol") },
	} {
		for range 2 { // the second finds it
			r, err := s.Adopt(volumes.Background, "vol", "old/data", 1<<30)
			if err != nil || r.Origin != volume.Adopted || r.Capacity != 1<<30 || r.Enforced {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		isAsItWas(t, mountpoint, "old/data")
		volumes.Same(t, volumes.Audit(t, mountpoint), "directory old", "ready vol")
		volumes.Expand(t, s, "vol", 2<<30, 0, 2<<30)
		if _, err := s.Modify("vol", volume.Changes{OnDelete: volume.Delete, Quota: volume.QuotaEnforced, Enforced: true}); err != nil {
			t.Fatal(err)
		}
		if got := limitAt(t, s, "old/data"); got != 2<<30 {
			t.Errorf("its limit is %d", got)
		}
		dir, root, err := s.Directory(volumes.Background, lifecycle.Access{ID: "vol", Path: "old/data"})
		if err != nil || root != "/old/data" {
			t.Fatalf("%q, %v", root, err)
		}
		dir.Close()
		below := volumes.Spec("below")
		below.Path = "old/data/below"
		_, err = s.Create(below)
		volumes.Wants(t, err, volume.ErrNested, "old/data")

		volumes.Must(t, giveUp(), s.Delete(volumes.Background, "vol"), s.Reconcile(volumes.Background, volumes.Unlocked))
		isAsItWas(t, mountpoint, "old/data")
		volumes.Same(t, volumes.Audit(t, mountpoint), before...)
		if got := limitAt(t, s, "old/data"); got != 0 {
			t.Errorf("it has the limit %d", got)
		}
	}
	volumes.Wants(t, s.GiveBack("vol"), volume.ErrNotFound, "vol")
}

// Each brick is asked where it has the directory, and its answer does not say where a name ends.
func TestADirectoryWithAnOddNameIsAdopted(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	for _, path := range []string{"a<b>c", "in <it>/x>)"} {
		legacy(t, mountpoint, path)
		_, err := s.Adopt(volumes.Background, "vol", path, 1<<30)
		volumes.Must(t, err)
		volumes.Publish(t, s, lifecycle.Access{ID: "vol"})
		volumes.Must(t, s.Delete(volumes.Background, "vol"))
		isAsItWas(t, mountpoint, path)
	}
}

func TestDirectoriesThatAreNotAdopted(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("made"))
	deep := volumes.Spec("deep")
	deep.Path = "team/app/deep"
	volumes.Create(t, s, deep)
	volumes.Create(t, s, volumes.Spec("moved"))
	half := volumes.Spec("half")
	half.Path = "cut/half"
	volumes.StopAt(volumes.Open(t, mountpoint), "create: path claimed", func(s *lifecycle.Volumes) { _, _ = s.Create(half) })
	back := volumes.Spec("back")
	back.Path = "restored/back"
	volumes.Create(t, s, back)
	volumes.Must(t, s.Delete(volumes.Background, "back"))
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	volumes.StopAt(volumes.Open(t, mountpoint), "restore: path claimed", func(s *lifecycle.Volumes) { _, _ = s.Trash.Restore(entries[0].Name) })
	legacy(t, mountpoint, "mine")
	legacy(t, mountpoint, "made/inside")
	legacy(t, mountpoint, "holder")
	if _, err := s.Adopt(volumes.Background, "mine", "mine", 5); err != nil {
		t.Fatal(err)
	}
	volumes.Must(t, os.Rename(filepath.Join(mountpoint, "moved"), filepath.Join(mountpoint, "holder", "elsewhere")),
		os.WriteFile(filepath.Join(mountpoint, "plain"), nil, 0o600), os.Symlink("mine", filepath.Join(mountpoint, "link")))

	for _, test := range []struct {
		what, id, path string
		capacity       int64
		want           error
		mention        string
	}{
		{"what is not there", "vol", "none", 0, volume.ErrNotFound, "none"},
		{"a file", "vol", "plain", 0, volume.ErrForeign, "plain"},
		{"a symbolic link", "vol", "link", 0, volume.ErrForeign, "link"},
		{"the root", "vol", ".", 0, volume.ErrInvalid, ""},
		{"the driver's directory", "vol", volume.OwnDir, 0, volume.ErrInvalid, volume.OwnDir},
		{"what is in the driver's directory", "vol", volume.OwnDir + "/trash", 0, volume.ErrInvalid, volume.OwnDir},
		{"a path that climbs", "vol", "mine/../mine", 0, volume.ErrInvalid, ""},
		{"a volume", "vol", "made", 0, volume.ErrForeign, "volume made"},
		{"what lies in a volume", "vol", "made/inside", 0, volume.ErrNested, "volume made"},
		{"a directory above volumes", "vol", "team", 0, volume.ErrNested, "team/app/deep"},
		{"a directory of the driver's that has a volume", "vol", "team/app", 0, volume.ErrNested, "team/app/deep"},
		{"a directory above one that is being made", "vol", "cut", 0, volume.ErrNested, "cut/half"},
		{"a directory above one that is being restored", "vol", "restored", 0, volume.ErrNested, "restored/back"},
		{"a volume that was moved by hand", "vol", "holder/elsewhere", 0, volume.ErrNested, "volume moved"},
		{"another directory under the ID of a volume", "made", "holder", 0, volume.ErrIncompatible, "another ID"},
		{"another directory under the ID of one that is adopted", "mine", "holder", 0, volume.ErrIncompatible, "mine"},
		{"what is adopted, with another capacity", "mine", "mine", 6, volume.ErrIncompatible, "5 bytes"},
		{"what is adopted, under another ID", "vol", "mine", 5, volume.ErrForeign, "volume mine"},
		{"an ID that is none", "../vol", "holder", 0, volume.ErrInvalid, "../vol"},
		{"a capacity that is none", "vol", "holder", -1, volume.ErrInvalid, "-1"},
	} {
		t.Run(test.what, func(t *testing.T) {
			_, err := s.Adopt(volumes.Background, test.id, test.path, test.capacity)
			volumes.Wants(t, err, test.want, test.mention)
		})
	}
	volumes.Wants(t, s.GiveBack("made"), volume.ErrInvalid, "delete its claim")
	if f, err := s.Find("vol"); err != nil || f.State != store.Absent {
		t.Errorf("something is left of what was refused: %+v, %v", f, err)
	}
	isAsItWas(t, mountpoint, "mine")
}

// At each point of an adoption another process makes a volume in the directory, and the other way round.
func TestAnAdoptionBesideACreationInTheDirectory(t *testing.T) {
	below := volumes.Spec("below")
	below.Path = "old/data/below"
	adopt := func(s *lifecycle.Volumes) error {
		_, err := s.Adopt(volumes.Background, "vol", "old/data", 0)
		return err
	}
	makeBelow := func(s *lifecycle.Volumes) error { _, err := s.Create(below); return err }
	for name, order := range map[string][2]func(*lifecycle.Volumes) error{"adopted first": {adopt, makeBelow}, "made first": {makeBelow, adopt}} {
		for point := 0; ; point++ {
			_, mountpoint := volumes.OnGV0(t)
			legacy(t, mountpoint, "old/data")
			first, second := volumes.Open(t, mountpoint), volumes.Open(t, mountpoint)
			passed := 0
			var secondErr error
			first.Step = func(string) {
				if passed++; passed == point+1 {
					secondErr = order[1](second)
				}
			}
			oneByOne(first, false)
			firstErr := order[0](first)
			if passed <= point {
				break
			}
			if firstErr == nil && secondErr == nil {
				t.Errorf("%s, point %d: a volume lies in another: %q", name, point, volumes.Audit(t, mountpoint))
			}
			s := volumes.Open(t, mountpoint)
			s.Recent, s.Abandoned = 0, 0
			if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
				t.Error(err)
			}
			volumes.Audit(t, mountpoint)
			isAsItWas(t, mountpoint, "old/data")
		}
	}
}

// Of two that adopt one directory one has it.
func TestOfTwoThatAdoptOneDirectoryOneGetsIt(t *testing.T) {
	_, mountpoint := volumes.OnGV0(t)
	legacy(t, mountpoint, "data")
	first := volumes.Open(t, mountpoint)
	var secondErr error
	first.Step = func(point string) {
		if point == "create: record complete" {
			_, secondErr = volumes.Open(t, mountpoint).Adopt(volumes.Background, "second", "data", 0)
		}
	}
	_, firstErr := first.Adopt(volumes.Background, "first", "data", 0)
	if (firstErr == nil) == (secondErr == nil) {
		t.Errorf("the first: %v; the second: %v", firstErr, secondErr)
	}
	if left := volumes.Audit(t, mountpoint); len(left) > 1 {
		t.Errorf("left: %q", left)
	}
	isAsItWas(t, mountpoint, "data")
}
