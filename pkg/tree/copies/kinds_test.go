// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestEveryKindOfEntryIsCopied(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		b.plantPlain()
		b.plantRoots()
		b.plantMany("src/many", sized(60, 20_000))
		if strings.HasSuffix(t.Name(), "local") {
			capable := []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
			must(t, unix.Setxattr(b.at("src/root/owned"), capabilities, capable, 0)) // GlusterFS has none
		}
		must(t, os.Mkdir(b.at("src/huge"), 0o755))
		for i := range sized(100, 200_000) {
			must(t, unix.Mknod(b.at("src/huge", fmt.Sprint("n", i)), unix.S_IFREG|0o600, 0))
		}
		want := describe(t, b.at("src"))
		first := b.copy("copy", "")
		b.is("copy", want)
		if first.Changed.Count+first.Vanished.Count+first.Unkept.Count != 0 {
			t.Errorf("the copy says %+v", first)
		}
		for _, path := range allBelow(t, b.at("copy")) {
			if trusted(t, path) {
				t.Errorf("%s has the driver's mark", path)
			}
		}
		b.needsNoMore("copy")
		if r := b.verify("copy", false); !r.Whole() || r.Entries != first.Entries-1 {
			t.Errorf("the verification says %+v, the copy %+v", r, first)
		}
		again := b.copy("copy", "")
		b.is("copy", want)
		if again.Written != 0 || again.Entries != first.Entries || again.Bytes != first.Bytes {
			t.Errorf("again: %+v, first: %+v", again, first)
		}
		// What a volume is that is made from the snapshot.
		clone, err := Copy(background, b.dir("copy"), b.dir("clone"), b.options("clone", ""))
		must(t, err)
		if clone.Entries != first.Entries || clone.Bytes != first.Bytes || clone.Linked != 0 {
			t.Errorf("the clone: %+v, first: %+v", clone, first)
		}
		b.is("clone", want)
		b.needsNoMore("clone")
	})
}

func TestATreeMayBeDeep(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		depth := sized(60, 1000)
		if strings.HasSuffix(t.Name(), "local") {
			depth = 1000
		}
		b.plantDeep(depth)
		r := b.copy("copy", "")
		if r.Entries != int64(2*depth+1) {
			t.Errorf("%d entries", r.Entries)
		}
		if v := b.verify("copy", false); !v.Whole() || v.Entries != int64(2*depth) {
			t.Errorf("the verification says %+v", v)
		}
	})
}

func TestTheOwnerOfTheTopIsThatOfTheSource(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("src/f", "f")
	must(t, os.Mkdir(b.at("copy"), 0o700), os.Chown(b.at("copy"), 1001, 2002))
	b.copy("copy", "")
	b.same("copy")
}

// Clients of two Gluster volumes, as for a copy from one to another.
func TestSourceAndDestinationMayBeOnDifferentMounts(t *testing.T) {
	b := newBench(t, onGluster(t, mount(t, testcluster.Options{})))
	b.plantPlain()
	b.plantRoots()
	there := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(there, "copy"), 0o700), os.MkdirAll(filepath.Join(there, "work"), 0o700))
	_, err := Copy(background, b.dir("src"), hold(t, filepath.Join(there, "copy")), Options{Work: hold(t, filepath.Join(there, "work"))})
	must(t, err)
	compare(t, describe(t, b.at("src")), describe(t, filepath.Join(there, "copy")))
}

func TestWhatIsNotTheCallersOwnIsLeftOut(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("src/a/f", "f")
	b.write("src/foreign/f", "f")
	foreign := errors.New("another's")
	for _, refusal := range []error{foreign, fs.SkipDir} {
		o := b.options("copy", "")
		o.Own = func(dir *safepath.Dir, _ unix.Stat_t) error {
			if filepath.Base(dir.Name()) == "foreign" {
				return refusal
			}
			return nil
		}
		_, err := Copy(background, b.dir("src"), b.dir("copy"), o)
		if isRefused := errors.Is(refusal, foreign); isRefused != errors.Is(err, foreign) || !isRefused && err != nil {
			t.Errorf("the error is %v", err)
		}
		if _, err := os.Lstat(b.at("copy/foreign")); !os.IsNotExist(err) {
			t.Errorf("what was refused is in the copy: %v", err)
		}
	}
}
