// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestUnreadableFilesAreThoseOfALog(t *testing.T) {
	const log = `[2026-11-22 21:39:03.803266 +0000] W [fuse-bridge.c:1642:fuse_fd_cbk] 0-glusterfs-fuse: 12: OPEN() /pvc-1/a => b (Input/output error) c => -1 (Input/output error)
[2026-11-22 21:39:03.803267 +0000] W [fuse-bridge.c:1404:fuse_attr_cbk] 0-glusterfs-fuse: 13: STAT() /pvc-1/gone => -1 (No such file or directory)
[2026-11-22 21:39:03.803268 +0000] W [fuse-bridge.c:1050:fuse_entry_cbk] 0-glusterfs-fuse: 14: LOOKUP() /pvc-2/b => -1 (Input/output error)
[2026-11-22 21:39:03.803269 +0000] W [fuse-bridge.c:1642:fuse_fd_cbk] 2-glusterfs-fuse: 15: OPEN() /pvc-1/c => -1 (Input/output error)
[2026-11-22 21:39:03.803270 +0000] W [fuse-bridge.c:1050:fuse_entry_cbk] 0-glusterfs-fuse: 16: LOOKUP() /pvc-2/b => -1 (Input/output error)
[2026-11-22 21:39:03.803271 +0000] W [fuse-bridge.c:2766:fuse_readv_cbk] 0-glusterfs-fuse: 17: READ => -1 gfid=x fd=0x1 (Input/output error)
12: OPEN() /pvc-1/no-line => -1 (Input/output error)
`
	want := []string{"/pvc-2/b", "/pvc-1/c", "/pvc-1/a => b (Input/output error) c"}
	if got := unreadable(log); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	var many strings.Builder
	for i := range 2 * maxUnreadable {
		fmt.Fprintf(&many, "[t] W [a.c:1:f] 0-glusterfs-fuse: 1: OPEN() /%d => -1 (Input/output error)\n", i)
	}
	if got := unreadable(many.String()); len(got) != maxUnreadable || got[0] != fmt.Sprint("/", 2*maxUnreadable-1) {
		t.Errorf("of many there are %d, %q first", len(got), got[0])
	}
}

func FuzzUnreadable(f *testing.F) {
	f.Add("[t] W [a.c:1:f] 0-glusterfs-fuse: 1: OPEN() /a => -1 (Input/output error)\n")
	f.Fuzz(func(t *testing.T, log string) {
		for _, path := range unreadable(log) {
			if !strings.HasPrefix(path, "/") || !strings.Contains(log, path) {
				t.Errorf("the path %q", path)
			}
		}
	})
}
