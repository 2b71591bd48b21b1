// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		want       Entry
	}{
		{
			"a bind of a GlusterFS directory",
			"141 26 0:38 /pvc-1 /var/lib/kubelet/pods/x/mount ro,nosuid,nodev,noexec,noatime shared:7 - fuse.glusterfs 10.0.0.1:/gv0 rw,user_id=0",
			Entry{141, 26, Device{0, 38}, "/pvc-1", "/var/lib/kubelet/pods/x/mount", ReadOnly | NoSuid | NoDev | NoExec | NoAtime, "fuse.glusterfs", "10.0.0.1:/gv0", "rw,user_id=0"},
		},
		{
			"no optional fields",
			"22 1 254:1048575 / / rw,relatime - ext4 /dev/root rw",
			Entry{22, 1, Device{254, 1048575}, "/", "/", 0, "ext4", "/dev/root", "rw"},
		},
		{
			"several optional fields, some unknown",
			"36 35 98:0 / /m rw shared:3 master:1 propagate_from:2 unbindable new - ext3 /dev/sda1 rw",
			Entry{36, 35, Device{98, 0}, "/", "/m", 0, "ext3", "/dev/sda1", "rw"},
		},
		{
			"blank, tab, newline and backslash in the paths",
			`36 35 0:9 /a\134b /x\040y\011z\012\303\244 rw - tmpfs a\040b\043c rw`,
			Entry{36, 35, Device{0, 9}, `/a\b`, "/x y\tz\nä", 0, "tmpfs", "a b#c", "rw"},
		},
		{
			"a path that looks like the separator and like a removed file",
			`36 35 0:9 /gone//deleted /-\040(deleted) rw - tmpfs - rw`,
			Entry{36, 35, Device{0, 9}, "/gone//deleted", "/- (deleted)", 0, "tmpfs", "-", "rw"},
		},
		{
			"an empty source",
			"36 35 0:9 / /m rw - tmpfs  rw",
			Entry{36, 35, Device{0, 9}, "/", "/m", 0, "tmpfs", "", "rw"},
		},
		{
			"a root that is no path",
			"36 35 0:4 net:[4026532277] /run/netns/a rw shared:2 - nsfs nsfs rw",
			Entry{36, 35, Device{0, 4}, "net:[4026532277]", "/run/netns/a", 0, "nsfs", "nsfs", "rw"},
		},
		{
			"blanks and lone backslashes as some filesystems print them",
			`36 35 0:9 / /m rw - 9p C:\Program\1 rw,path=C:\;a b,x\040y`,
			Entry{36, 35, Device{0, 9}, "/", "/m", 0, "9p", `C:\Program\1`, `rw,path=C:\;a b,x\040y`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(tc.line + "\n"))
			must(t, "Parse", err)
			if !slices.Equal(got, []Entry{tc.want}) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestParseKeepsTheOrder(t *testing.T) {
	got, err := Parse(strings.NewReader("9 1 0:9 / /b rw - tmpfs t rw\n3 1 0:3 / /a rw - tmpfs t rw\n"))
	must(t, "Parse", err)
	if len(got) != 2 || got[0].ID != 9 || got[1].ID != 3 {
		t.Errorf("got %+v, want mount 9, then 3", got)
	}
}

func TestParseRefusesAnythingButWholeLines(t *testing.T) {
	const good = "36 35 0:9 / /m rw - tmpfs t rw\n"
	for name, text := range map[string]string{
		"no newline at the end":         strings.TrimSuffix(good, "\n"),
		"an empty line":                 good + "\n",
		"no separator":                  "36 35 0:9 / /m rw tmpfs t rw x\n",
		"a separator too early":         "36 35 0:9 / /m - tmpfs t rw x\n",
		"no superblock options":         "36 35 0:9 / /m rw - tmpfs t\n",
		"an ID that is no number":       "x 35 0:9 / /m rw - tmpfs t rw\n",
		"a negative ID":                 "-36 35 0:9 / /m rw - tmpfs t rw\n",
		"a parent that is too large":    "36 2147483648 0:9 / /m rw - tmpfs t rw\n",
		"a device without a minor":      "36 35 9 / /m rw - tmpfs t rw\n",
		"a device of three numbers":     "36 35 0:9:1 / /m rw - tmpfs t rw\n",
		"a mount point that is nowhere": "36 35 0:9 / m rw - tmpfs t rw\n",
		"two blanks between fields":     "36  35 0:9 / /m rw - tmpfs t rw\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(strings.NewReader(text)); err == nil {
				t.Errorf("%q is parsed as %+v", text, got)
			}
		})
	}
}

func TestParsePassesOnTheErrorOfItsReader(t *testing.T) {
	if _, err := Parse(iotest.ErrReader(unix.EIO)); !errors.Is(err, unix.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
}

// FuzzParse checks that what Parse makes of any text, written down as the kernel
// would, is parsed into the same again: nothing is lost, and nothing panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"))
	f.Add([]byte("36 35 0:9 /a\\134b /x\\040y\\011z\\012 ro shared:1 master:2 - tmpfs  rw a b\n1 1 0:1 / / rw - rootfs - rw\n"))
	f.Add([]byte("36 35 0:4 net:[4026532277] /n rw - nsfs nsfs rw\n"))
	f.Add([]byte("36 35 0:9 / /m\\999\\04 rw - - - -\n"))
	f.Add([]byte("36 35 0:9 / /m rw - tmpfs t rw"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := Parse(bytes.NewReader(data))
		if err != nil {
			if entries != nil {
				t.Fatalf("both an error and %+v", entries)
			}
			return
		}
		if lines := bytes.Count(data, []byte("\n")); len(entries) != lines {
			t.Fatalf("%d entries of %d lines", len(entries), lines)
		}
		var text strings.Builder
		for _, e := range entries {
			text.WriteString(format(e))
		}
		again, err := Parse(strings.NewReader(text.String()))
		if err != nil || !slices.Equal(entries, again) {
			t.Fatalf("%+v\nwritten as %q is parsed as\n%+v, %v", entries, text.String(), again, err)
		}
	})
}

// format writes e as the kernel does.
func format(e Entry) string {
	escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace
	return fmt.Sprintf("%d %d %d:%d %s %s %s shared:1 - %s %s %s\n", e.ID, e.Parent, e.Device.Major, e.Device.Minor,
		escape(e.Root), escape(e.Target), e.Flags, escape(e.FSType), escape(e.Source), e.SuperOptions)
}

func TestAtRefusesARelativePath(t *testing.T) {
	if entries, err := At("mnt"); err == nil {
		t.Errorf("got %+v and no error", entries)
	}
}

func TestStacksAreSortedByParentNotByAge(t *testing.T) {
	for _, tc := range []struct {
		name  string
		stack []Entry
		want  []int
	}{
		{"a younger mount beneath an older", []Entry{{ID: 5, Parent: 9}, {ID: 9, Parent: 1}}, []int{9, 5}},
		{"three deep, listed from the top", []Entry{{ID: 7, Parent: 6}, {ID: 6, Parent: 5}, {ID: 5, Parent: 1}}, []int{5, 6, 7}},
		{"two with nothing in common keep their order", []Entry{{ID: 8, Parent: 2}, {ID: 3, Parent: 1}}, []int{8, 3}},
		{"a mount that is its own parent", []Entry{{ID: 1, Parent: 1}}, []int{1}},
		{"a circle, which no kernel shows", []Entry{{ID: 1, Parent: 2}, {ID: 2, Parent: 1}}, []int{1, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []int
			for _, e := range bottomFirst(tc.stack) {
				got = append(got, e.ID)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
