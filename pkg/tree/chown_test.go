// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

func TestChownGivesAwayAllBelow(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	in := func(name string) string { return filepath.Join(root, name) }
	must(t, os.WriteFile(outside, nil, 0o600), os.MkdirAll(in("a/b"), 0o755), os.Mkdir(in("others"), 0o755))
	must(t, os.WriteFile(in("a/b/program"), nil, 0o755), unix.Chmod(in("a/b/program"), 0o6755), os.WriteFile(in("others/file"), nil, 0o600))
	must(t, unix.Chmod(in("a/b"), 0o2770), os.Symlink(outside, in("a/link")), os.Chown(in("a"), 7, 8))
	dir, err := safepath.OpenRoot(root)
	must(t, err)
	defer dir.Close()
	errOthers := errors.New("another's")
	own := func(dir *safepath.Dir, _ unix.Stat_t) error {
		if filepath.Base(dir.Name()) == "others" {
			return errOthers
		}
		return nil
	}
	var visited atomic.Int64
	for _, give := range []struct {
		uid, gid int
		want     map[string]string
	}{
		{1001, -1, map[string]string{"a": "1001:8 755", "a/b": "1001:0 2770", "a/b/program": "1001:0 755", "a/link": "1001:0 777"}},
		{-1, 1002, map[string]string{"a": "1001:1002 755", "a/b": "1001:1002 2770", "a/b/program": "1001:1002 755", "a/link": "1001:1002 777"}},
	} {
		if err := Chown(context.Background(), dir, give.uid, give.gid, own, nil, &visited); !errors.Is(err, errOthers) {
			t.Errorf("what is another's: %v", err)
		}
		give.want["."], give.want["others"], give.want["others/file"] = "0:0 755", "0:0 755", "0:0 600"
		for name, want := range give.want {
			if got := ownerAndMode(t, in(name)); got != want {
				t.Errorf("%s has %s, want %s", name, got, want)
			}
		}
	}
	if got := ownerAndMode(t, outside); got != "0:0 600" {
		t.Errorf("what a link leads to has %s", got)
	}
	if got := visited.Load(); got != 8 {
		t.Errorf("%d were looked at, want 8", got)
	}
}

func ownerAndMode(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no stat")
	}
	return fmt.Sprintf("%d:%d %o", st.Uid, st.Gid, st.Mode&0o7777)
}
