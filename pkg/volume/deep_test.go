// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
)

// Deeper than any path goes: what a tenant makes step by step can be granted and removed.
func TestATreeOfAnyDepthIsGrantedAndRemoved(t *testing.T) {
	const depth, name = 1100, "directory"
	s, mountpoint := newStore(t)
	create(t, s, spec("vol"))
	at, err := unix.Open(filepath.Join(mountpoint, "vol"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for range depth {
		if err == nil {
			err = unix.Mkdirat(at, name, 0o700)
		}
		next := -1
		if err == nil {
			next, err = unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(at)
		at = next
	}
	dir, _, err := s.Directory(background, Access{ID: "vol", Group: ptr[uint32](2002)})
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := s.grantGroup(background, "vol", dir, 2002); err != nil {
		t.Fatal(err)
	}
	var deepest unix.Stat_t
	if err := unix.Fstat(at, &deepest); err != nil || deepest.Gid != 2002 || deepest.Mode&0o7777 != 0o2770 {
		t.Errorf("the deepest directory is %d %04o, %v", deepest.Gid, deepest.Mode, err)
	}
	unix.Close(at)
	if granted, err := tree.Granted(dir, 2002); !granted || err != nil {
		t.Errorf("not granted: %v", err)
	}
	if err := s.Delete(background, "vol"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Reap(background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
}
