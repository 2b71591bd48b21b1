// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

var background = context.Background()

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func hold(t *testing.T, path string) *safepath.Dir {
	t.Helper()
	dir, err := safepath.OpenRoot(path)
	must(t, err)
	t.Cleanup(dir.Close)
	return dir
}

// bench is a place for a source and copies of it.
type bench struct {
	t    *testing.T
	root string
}

func newBench(t *testing.T, root string) *bench {
	t.Helper()
	b := &bench{t, root}
	must(t, os.MkdirAll(b.at("src"), 0o755))
	return b
}

func (b *bench) at(path ...string) string { return filepath.Join(append([]string{b.root}, path...)...) }

func (b *bench) write(path, content string) {
	b.t.Helper()
	must(b.t, os.MkdirAll(filepath.Dir(b.at(path)), 0o755), os.WriteFile(b.at(path), []byte(content), 0o640))
}

// dir makes a directory where there is none and holds it.
func (b *bench) dir(name string) *safepath.Dir {
	b.t.Helper()
	must(b.t, os.MkdirAll(b.at(name), 0o700))
	return hold(b.t, b.at(name))
}

// options are those of the copy called name, and of the one before it where there is one.
func (b *bench) options(name, previous string) Options {
	b.t.Helper()
	o := Options{Work: b.dir(name + ".work")}
	if previous != "" {
		o.Previous = &Previous{Tree: b.dir(previous), Work: b.dir(previous + ".work")}
	}
	return o
}

// copy copies src, and fails the test if that fails.
func (b *bench) copy(name, previous string) Result {
	b.t.Helper()
	r, err := Copy(background, b.dir("src"), b.dir(name), b.options(name, previous))
	must(b.t, err)
	return r
}

// same fails the test unless a copy is what src is.
func (b *bench) same(name string) {
	b.t.Helper()
	compare(b.t, describe(b.t, b.at("src")), describe(b.t, b.at(name)))
	left, err := os.ReadDir(b.at(name + ".work"))
	must(b.t, err)
	if len(left) != 1 || left[0].Name() != "manifest" {
		b.t.Errorf("beside the copy there is %v", left)
	}
}

func (b *bench) verify(name string, content bool) Report {
	b.t.Helper()
	r, err := Verify(background, b.dir(name), b.dir(name+".work"), VerifyOptions{Content: content})
	must(b.t, err)
	return r
}

// describe says of every entry what a copy has to have.
func describe(t *testing.T, root string) map[string]string {
	t.Helper()
	found, names := map[string]string{}, map[uint64]string{}
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		kind := st.Mode & unix.S_IFMT
		text := fmt.Sprintf("mode %o owner %d:%d time %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch kind {
		case unix.S_IFLNK:
			to, err := os.Readlink(path)
			must(t, err)
			text += " to " + to
		case unix.S_IFREG:
			text += fmt.Sprintf(" size %d content %s", st.Size, contentHash(t, path))
			if st.Blocks*512 < st.Size/2 {
				text += " sparse"
			}
		case unix.S_IFCHR, unix.S_IFBLK:
			text += fmt.Sprintf(" device %x", st.Rdev)
		}
		if kind != unix.S_IFDIR && st.Nlink > 1 {
			if names[st.Ino] == "" {
				names[st.Ino] = rel // others of its names may be elsewhere
			} else {
				text += " as " + names[st.Ino]
			}
		}
		found[rel] = text + xattrText(t, path)
		return nil
	}))
	return found
}

func contentHash(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	info, err := file.Stat()
	must(t, err)
	sum, buffer := sha256.New(), make([]byte, 1<<20)
	for at := int64(0); at < info.Size(); {
		start, err := unix.Seek(int(file.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		must(t, err)
		end, err := unix.Seek(int(file.Fd()), start, unix.SEEK_HOLE)
		must(t, err)
		if end <= start {
			t.Fatalf("%s: data from %d to %d", path, start, end)
		}
		for start < end {
			n, err := file.ReadAt(buffer[:min(end-start, int64(len(buffer)))], start)
			if n == 0 {
				must(t, err)
			}
			for at := 0; at < n; at += page { // what is zero is as good as a hole
				if data := buffer[at:min(at+page, n)]; !bytes.Equal(data, zeros[:len(data)]) {
					fmt.Fprint(sum, start+int64(at), ":")
					sum.Write(data)
				}
			}
			start += int64(n)
		}
		at = end
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// xattrText has those that are to be copied.
func xattrText(t *testing.T, path string) string {
	t.Helper()
	list := make([]byte, 8<<10)
	n, err := unix.Llistxattr(path, list)
	if errors.Is(err, unix.ENOTSUP) {
		return ""
	}
	must(t, err)
	names := strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		if strings.HasPrefix(name, "trusted.") || name == "security.foo" || name == "" || name == "security.selinux" {
			continue
		}
		value := make([]byte, 8<<10)
		n, err := unix.Lgetxattr(path, name, value)
		must(t, err)
		fmt.Fprintf(&text, " %s=%x", name, value[:n])
	}
	return text.String()
}

func compare(t *testing.T, want, got map[string]string) {
	t.Helper()
	differences := 0
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if want[path] == got[path] {
			continue
		}
		if differences++; differences <= 10 {
			t.Errorf("%q:\n  is     %s\n  is not %s", path, got[path], want[path])
		}
	}
	if differences > 0 {
		t.Errorf("%d of %d entries differ", differences, len(all))
	}
}

// setTime gives what is at a path a time of change of its own.
func setTime(t *testing.T, path string, sec, nsec int64) {
	t.Helper()
	times := []unix.Timespec{{Sec: 1}, {Sec: sec, Nsec: nsec}}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW))
}

// plantPlain makes what anybody may make.
func (b *bench) plantPlain() {
	b.t.Helper()
	b.write("outside/secret", "another tenant's")
	src := func(path string) string { return b.at("src", path) }
	for path, size := range map[string]int{"empty": 0, "one": 1, "page less one": 4095, "a/b/c/d/MiB": 1 << 20, "a/odd": 3<<20 + 17} {
		b.write("src/"+path, strings.Repeat("glusterfs", size/9+1)[:size])
	}
	for _, name := range []string{strings.Repeat("\xff", 255), strings.Repeat("n", 255), "new\nline", "-rf", " ", "\xfe\x80.\x01", "ü"} {
		b.write("src/names/"+name, name)
		must(b.t, os.Mkdir(src("names/d"+name[:min(len(name), 254)]), 0o700))
	}
	for link, to := range map[string]string{"rel": "one", "dangling": "no/such", "out": "../outside/secret", "outdir": "../outside", "loop": ".", "long": strings.Repeat("x/", 1000)} {
		must(b.t, os.MkdirAll(src("links"), 0o755), os.Symlink(to, src("links/"+link)))
		setTime(b.t, src("links/"+link), 1234567890, 123456789)
	}
	for i := range 20 { // a farm of links that lead out
		must(b.t, os.MkdirAll(src("farm"), 0o755), os.Symlink(b.at("outside"), src(fmt.Sprintf("farm/%d", i))))
	}
	must(b.t, unix.Mkfifo(src("fifo"), 0o640), unix.Mknod(src("socket"), unix.S_IFSOCK|0o600, 0))
	must(b.t, os.Link(src("one"), src("a/one again")), os.Link(src("one"), src("a/b/c/one again")), os.Link(src("fifo"), src("a/fifo again")))
	must(b.t, os.Link(src("links/rel"), src("a/rel again")))
	for path, offsets := range map[string][]int64{"at the end": {5<<30 - 1<<20}, "in the middle": {2<<30 + 4096}, "pages": {0, 1 << 20, 1<<20 + 8192, 300 << 20}, "nothing": nil} {
		b.sparse("src/sparse/"+path, 5<<30, offsets)
	}
	must(b.t, os.Chmod(src("one"), 0o4751), os.Chmod(src("a/odd"), 0o2604), os.Chmod(src("a"), os.ModeSetgid|0o770), os.Chmod(src("a/b"), os.ModeSticky|0o777), os.Chmod(src("names"), 0o500))
	b.t.Cleanup(func() { // so that anybody can remove it
		for _, copied := range []string{"src", "copy", "first", "second"} {
			_ = os.Chmod(b.at(copied, "names"), 0o700)
		}
	})
	setTime(b.t, src("empty"), 1, 999999999)
	setTime(b.t, src("a/odd"), 1<<33, 1)
	setTime(b.t, src("a/b"), 86400, 5)
	setTime(b.t, src("."), 86401, 7)
}

// sparse makes a file of holes with up to a MiB at these places.
func (b *bench) sparse(path string, size int64, offsets []int64) {
	b.t.Helper()
	must(b.t, os.MkdirAll(filepath.Dir(b.at(path)), 0o755))
	file, err := os.Create(b.at(path))
	must(b.t, err)
	length := page
	if len(offsets) == 1 {
		length = 1 << 20
	}
	for _, at := range offsets {
		_, err := file.WriteAt(bytes.Repeat([]byte("d"), length), at)
		must(b.t, err)
	}
	must(b.t, file.Truncate(size), file.Close())
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Blocks
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

var longAgo = time.Unix(1_000_000_000, 123456789)
