// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"path/filepath"
	"testing"
	"time"
)

func TestWhatWasChangedCounts(t *testing.T) {
	s, mountpoint := storeOf(t)
	asked := spec("vol")
	asked.Owner = Owner{UID: ptr[uint32](1), Mode: ptr[Mode](0o750)}
	create(t, s, asked)
	create(t, s, spec("soon"))
	for range 2 {
		r, err := s.Modify("vol", Changes{Owner: Owner{UID: ptr[uint32](2), GID: ptr[uint32](3)}})
		must(t, err)
		if r.Owner.String() != "uid=2 gid=3 mode=0750" || r.OnDelete != Trash || r.Capacity != 1<<30 {
			t.Errorf("changed to %+v", r)
		}
	}
	expand(t, s, "vol", 2<<30, 0, 2<<30)
	if got := owner(t, filepath.Join(mountpoint, "vol")); got != "2:3 0750" {
		t.Errorf("its owner is %s", got)
	}
	// The class is the same, whatever the volume is by now; and a publish mends what counts.
	create(t, s, asked)
	dir, err := s.root.Open("vol")
	must(t, err, dir.Chown(5, 5))
	dir.Close()
	for _, readOnly := range []bool{true, false} {
		dir, _, err := s.Directory(background, Access{ID: "vol", ReadOnly: readOnly})
		must(t, err)
		dir.Close()
		if got := owner(t, filepath.Join(mountpoint, "vol")); got != map[bool]string{true: "5:5 0750", false: "2:3 0750"}[readOnly] {
			t.Errorf("published read-only %t, with the owner %s", readOnly, got)
		}
	}

	_, err = s.Modify("soon", Changes{OnDelete: Delete})
	must(t, err, s.Delete(background, "soon"), s.Delete(background, "vol"))
	s.abandoned = 0
	if n, err := s.Reap(background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint), "trash vol")
}
