// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	b.is(name, describe(b.t, b.at("src")))
}

// is fails the test unless a copy is what was described.
func (b *bench) is(name string, want map[string]string) {
	b.t.Helper()
	compare(b.t, want, describe(b.t, b.at(name)))
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

// needsNoMore fails the test where a file of a copy has more blocks than that of src.
func (b *bench) needsNoMore(name string) {
	b.t.Helper()
	for _, path := range allBelow(b.t, b.at("src")) {
		rel, _ := filepath.Rel(b.at("src"), path)
		var was, is unix.Stat_t
		must(b.t, unix.Lstat(path, &was), unix.Lstat(b.at(name, rel), &is))
		if was.Mode&unix.S_IFMT == unix.S_IFREG && is.Blocks > was.Blocks {
			b.t.Errorf("%s has %d blocks, of %d", rel, is.Blocks, was.Blocks)
		}
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

var longAgo = time.Unix(1_000_000_000, 123456789)
