// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// GlusterFS makes no directory whose path has more than 4,096 bytes and reaches none by such a path. What a tenant
// has made is nested too deep for it once it is in the trash. (Trees that are deeper yet: pkg/tree.)
func TestADirectoryThatTheTrashMakesTooDeepIsRemoved(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	nest(t, filepath.Join(mountpoint, "vol"))
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

// nest makes directories within each other, as many as GlusterFS lets it: with long names, and with short ones
// where there is no room for those.
func nest(t *testing.T, root string) {
	t.Helper()
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { unix.Close(at) }()
	for n, length := 0, unix.NAME_MAX; ; n++ {
		name := strings.Repeat("n", length)
		next := -1
		err := unix.Mkdirat(at, name, 0o700)
		if err == nil {
			next, err = unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		switch {
		case err == nil:
			unix.Close(at)
			at = next
		case n < 10 || !errors.Is(err, unix.ESTALE) && !errors.Is(err, unix.ENAMETOOLONG):
			t.Fatal(n, err)
		case length == unix.NAME_MAX:
			length = 20
		default:
			t.Logf("%d within each other", n)
			return
		}
	}
}
