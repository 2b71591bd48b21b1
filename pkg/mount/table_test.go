// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel escapes blank, tab and newline alone.
func TestTheAttributesAreThoseOfAMountWhoseNameHasABlankOfAnotherKind(t *testing.T) {
	want := parseAttributes("ro,nosuid,nodev,noexec,relatime")
	if want.attr&unix.MOUNT_ATTR_RDONLY == 0 {
		t.Fatalf("they are %+v", want)
	}
	for _, blank := range []string{"\v", "\f", "\r", "\u0085", "\u00a0", "\u2003", "\u3000"} {
		for _, line := range []string{
			"141 26 0:38 /pvc-1/a_b /data rw - fuse.glusterfs pi:/gv0 rw\n", "141 26 0:38 /pvc-1 /a_b rw - fuse.glusterfs pi:/gv0 rw\n",
		} {
			line = strings.NewReplacer("_", blank, " rw -", " ro,nosuid,nodev,noexec,relatime -").Replace(line)
			table, err := parseTable(line)
			must(t, "parseTable", err)
			if got := table.all[0].attributes; got != want {
				t.Errorf("%q has the attributes %+v, want %+v", line, got, want)
			}
		}
	}
}
