// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package safepath

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenFollowsNoLinkAndCrossesNoMount(t *testing.T) { openFollowsNoLink(t) }

func openFollowsNoLink(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "root")
	for _, dir := range []string{"root/a/b/c", "root/mnt", "outside/d"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"in": "a/b", "out": "../outside", "abs": base + "/outside", "a/up": "..", "magic": "/proc/self/cwd", "dangling": "x", "a/b/self": "self"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", filepath.Join(root, "mnt"), "tmpfs", 0, "size=4k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(filepath.Join(root, "mnt"), unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d, err := OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tests := map[string]error{
		".": nil, "a": nil, "a/b": nil, "a/b/c": nil,
		"in": ErrLink, "in/c": ErrLink, "out": ErrLink, "out/d": ErrLink, "abs/d": ErrLink, "a/up": ErrLink, "a/up/a": ErrLink,
		"magic": ErrLink, "dangling": ErrLink, "dangling/x": ErrLink, "a/b/self": ErrLink, "mnt": ErrLink,
		"nowhere": fs.ErrNotExist, "a/nowhere/c": fs.ErrNotExist, "file": unix.ENOTDIR, "file/x": unix.ENOTDIR,
	}
	for rel, want := range tests {
		got, err := d.Open(rel)
		if !errors.Is(err, want) {
			t.Errorf("Open(%q): %v, want %v", rel, err, want)
		}
		if !strings.ContainsAny(rel, "./") {
			sub, err := d.Subdirectory(rel)
			if !errors.Is(err, want) {
				t.Errorf("Subdirectory(%q): %v, want %v", rel, err, want)
			}
			if err == nil {
				sub.Close()
			}
		}
		if err != nil {
			if first, _, _ := strings.Cut(rel, "/"); !strings.Contains(err.Error(), first) {
				t.Errorf("Open(%q) does not name the component: %v", rel, err)
			}
			continue
		}
		var held, named unix.Stat_t
		if err := errors.Join(unix.Fstat(got.Fd(), &held), unix.Stat(filepath.Join(root, rel), &named)); err != nil || held.Ino != named.Ino {
			t.Errorf("Open(%q) holds another directory, %v", rel, err)
		}
		got.Close()
	}
	for _, rel := range []string{"", "/", "/a", "..", "../outside", "a/..", "a/../a", "a//b", "a/", "./a", "a/./b", "a\x00b", "a\nb", "\xff", strings.Repeat("x", 256), strings.Repeat("x/", 2048) + "x"} {
		if _, err := d.Open(rel); err == nil {
			t.Errorf("Open(%q) succeeded", rel)
		}
	}
}

func TestADescriptorOutlivesARename(t *testing.T) {
	root := t.TempDir()
	d, err := OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Mkdir("a", 0o700); err != nil {
		t.Fatal(err)
	}
	a, err := d.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := errors.Join(d.Rename("a", d, "b"), os.Symlink("/etc", filepath.Join(root, "a"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Chmod(0o2750), a.Chown(1001, 7), a.Mkdir("sub", 0o700)); err != nil {
		t.Fatal(err)
	}
	st, err := a.Stat()
	if err != nil || st.Mode&0o777 != 0o750 || st.Uid != 1001 || st.Gid != 7 {
		t.Errorf("%o %d:%d, %v", st.Mode, st.Uid, st.Gid, err)
	}
	if _, err := os.Stat(filepath.Join(root, "b", "sub")); err != nil {
		t.Error(err)
	}
}

func TestEntriesAreOneNameAndNeverFollowed(t *testing.T) {
	root := t.TempDir()
	d, err := OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("x"), 0o600), os.Symlink(secret, filepath.Join(root, "link"))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenFile("link", unix.O_RDWR, 0); !errors.Is(err, unix.ELOOP) {
		t.Errorf("OpenFile of a link: %v", err)
	}
	link, err := d.Entry("link")
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if err := link.Chown(1001, 1001); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(secret, &st); err != nil || st.Uid != 0 {
		t.Errorf("the link's target belongs to %d now, %v", st.Uid, err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "../x", "/etc", "a\x00", strings.Repeat("x", 256)} {
		_, openErr := d.OpenFile(name, unix.O_RDONLY, 0)
		_, entryErr := d.Entry(name)
		_, subErr := d.Subdirectory(name)
		_, statErr := d.StatEntry(name)
		for call, err := range map[string]error{
			"Subdirectory": subErr, "StatEntry": statErr, "OpenFile": openErr, "Entry": entryErr, "Mkdir": d.Mkdir(name, 0o700), "Unlink": d.Unlink(name), "Rmdir": d.Rmdir(name),
			"Rename": d.Rename(name, d, "y"), "Rename to": d.Rename("link", d, name), "Link": d.Link(name, d, "y"), "Link to": d.Link("link", d, name),
		} {
			if err == nil {
				t.Errorf("%s(%q) succeeded", call, name)
			}
		}
	}
	for _, name := range []string{"new\nline", "\xff", "ü", " ", "-rf"} {
		if err := d.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		sub, err := d.Subdirectory(name)
		if err == nil {
			sub.Close()
		}
		if err := errors.Join(err, d.Rmdir(name)); err != nil {
			t.Errorf("a tenant's name %q: %v", name, err)
		}
	}
}

func TestNamesAreAllThereHoweverTheyAreRead(t *testing.T) {
	d, err := OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if names, err := d.Names(1); len(names) != 0 || err != nil {
		t.Errorf("an empty directory has %q, %v", names, err)
	}
	var want []string
	for i := range 3000 {
		name := fmt.Sprintf("a name that is not short %04d", i)
		if err := os.WriteFile(filepath.Join(d.Name(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	for _, limit := range []int{0, 1, 100, 2999, 3000, 5000} {
		names, err := d.Names(limit)
		slices.Sort(names)
		if err != nil || len(slices.Compact(names)) != min(cmp.Or(limit, 3000), 3000) || limit%5000 == 0 && !slices.Equal(names, want) {
			t.Errorf("at most %d: %d names, %v", limit, len(names), err)
		}
	}
	list, err := d.List(10)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	var got []string
	for parts := 0; ; parts++ {
		listed, err := list.Next()
		if errors.Is(err, io.EOF) {
			if parts < 2 {
				t.Errorf("all in %d parts", parts)
			}
			break
		}
		if err != nil || len(listed) == 0 {
			t.Fatalf("%v, %v", listed, err)
		}
		for _, each := range listed {
			got = append(got, each.Name)
			if st, err := d.StatEntry(each.Name); err != nil || st.Mode&unix.S_IFMT != each.Kind {
				t.Fatalf("%q is of the kind %o, listed as %o, %v", each.Name, st.Mode, each.Kind, err)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d names", len(got))
	}
}

func TestMessagesAboutDeepDirectoriesAreShort(t *testing.T) {
	d, err := OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("n", 200)
	for range 100 {
		if err := d.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := d.Subdirectory(name)
		d.Close()
		if err != nil {
			t.Fatal(err)
		}
		d = next
	}
	defer d.Close()
	if got := d.Name(); len(got) > 2<<10 || !strings.HasSuffix(got, name) || !strings.Contains(got, "…") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestXattrs(t *testing.T) {
	d, err := OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const name = "trusted.csi.test"
	if value, err := d.Xattr(name); value != "" || err != nil {
		t.Errorf("none: %q, %v", value, err)
	}
	if err := d.CreateXattr(name, "one"); err != nil {
		t.Fatal(err)
	}
	if err := d.CreateXattr(name, "two"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	if value, err := d.Xattr(name); value != "one" || err != nil {
		t.Errorf("%q, %v", value, err)
	}
	long := strings.Repeat("long", 500)
	if err := errors.Join(d.RemoveXattr(name), d.CreateXattr(name, long)); err != nil {
		t.Fatal(err)
	}
	if value, err := d.Xattr(name); value != long || err != nil {
		t.Errorf("%q, %v", value, err)
	}
	for range 2 {
		if err := d.RemoveXattr(name); err != nil {
			t.Error(err)
		}
	}
}

func TestASmallFileIsReadWhole(t *testing.T) {
	at := t.TempDir()
	root, err := OpenRoot(at)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, test := range map[string]struct {
		size, most, want int
	}{
		"empty":                            {0, 1 << 16, 0},
		"of some bytes":                    {700, 1 << 16, 700},
		"of several pages":                 {3<<12 + 1, 1 << 16, 3<<12 + 1},
		"as long as may be read":           {1 << 16, 1 << 16, 1 << 16},
		"longer, of which the rest is cut": {1<<16 + 1, 1 << 16, 1 << 16},
		"longer than a pipe":               {1 << 20, 1 << 20, 1 << 20},
	} {
		content := bytes.Repeat([]byte("0123456789abcde"), test.size/15+1)[:test.size]
		if err := os.WriteFile(filepath.Join(at, "file"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := root.ReadFile("file", test.most); err != nil || !bytes.Equal(got, content[:test.want]) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, test.want)
		}
	}
	if err := os.Symlink("file", filepath.Join(at, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := root.ReadFile("link", 1); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link: %v", err)
	}
	if _, err := root.ReadFile("none", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
