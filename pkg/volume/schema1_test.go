// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestVolumesOfTheFirstVersionAreVolumes(t *testing.T) {
	s, mountpoint := storeOf(t)
	makeSchema1(t, s, "old", "team/old")
	again := spec("old")
	again.Path = "team/old"
	create(t, s, again)
	inner := spec("inner")
	inner.Path = "team/old/inner"
	_, err := s.Create(inner)
	wants(t, err, ErrNested, "old")
	other := spec("other")
	other.Path = "team/old"
	_, err = s.Create(other)
	wants(t, err, ErrForeign, "old")
	_, _, err = s.Directory(background, Access{ID: "static", Path: "team/old"})
	wants(t, err, ErrForeign)
	publish(t, s, Access{ID: "old"}) // takes it over
	same(t, audit(t, mountpoint), "directory team", "ready old")

	// From here on the mark may be lost.
	if err := unix.Removexattr(filepath.Join(mountpoint, "team/old"), markXattr); err != nil {
		t.Fatal(err)
	}
	publish(t, s, Access{ID: "old"})
	for range 2 {
		if err := s.Delete(background, "old"); err != nil {
			t.Fatal(err)
		}
		same(t, audit(t, mountpoint), "trash old") // the parent went, too
		if err := restoreOnly(s); err != nil {
			t.Fatal(err)
		}
		same(t, audit(t, mountpoint), "directory team", "ready old")
	}
	if err := s.Delete(background, "old"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Reap(background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint))
	if left, err := os.ReadDir(filepath.Join(mountpoint, ownDir, "gfids")); len(left) > 0 || err != nil {
		t.Errorf("gfids left: %v, %v", left, err)
	}
}

func TestADirectoryWithAnotherMarkIsNotTakenOver(t *testing.T) {
	s, mountpoint := storeOf(t)
	makeSchema1(t, s, "old", "old")
	at := filepath.Join(mountpoint, "old")
	if err := unix.Setxattr(at, markXattr, []byte("other"), 0); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Directory(background, Access{ID: "old"})
	wants(t, err, ErrForeign)
	wants(t, s.Delete(background, "old"), ErrForeign)
	wants(t, s.Reconcile(background, unlocked), ErrForeign, "old")
}

// What the first version had begun when it was replaced.
func TestCreationsOfTheFirstVersionAreTakenBack(t *testing.T) {
	for name, marked := range map[string]bool{"before the mark": false, "after the mark": true} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			stamp := makeSchema1(t, s, "old", "old")
			own := filepath.Join(mountpoint, ownDir)
			at := filepath.Join(mountpoint, "old")
			err := os.Rename(filepath.Join(own, volumesDir, "old.json"), filepath.Join(own, creatingDir, stamp+recordSuffix))
			if !marked {
				err = errors.Join(err, unix.Removexattr(at, markXattr), unix.Chmod(at, 0o1000))
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Create(spec("old"))
			wants(t, err, ErrBusy)
			s.recent = 0
			_, err = s.Create(spec("old"))
			wants(t, err, ErrBusy)
			if r := create(t, s, spec("old")); r.Schema != 2 {
				t.Errorf("schema %d", r.Schema)
			}
			same(t, audit(t, mountpoint), "ready old")
		})
	}
}
