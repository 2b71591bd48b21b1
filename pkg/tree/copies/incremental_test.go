// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestWhatDidNotChangeIsALinkToThePreviousCopy(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.plantPlain()
	b.write("src/content", "1")
	b.write("src/mode", "1")
	b.write("src/replaced", "1")
	b.write("src/goes", "1")
	must(t, os.Chtimes(b.at("src/replaced"), longAgo, longAgo))
	first := b.copy("first", "")
	was := describe(t, b.at("first"))

	b.write("src/content", "2")
	must(t, os.Chmod(b.at("src/mode"), 0o600), os.Remove(b.at("src/goes")))
	b.write("src/new", "1")
	b.write("src/aside", "2") // the same size and time, but another inode
	must(t, os.Chtimes(b.at("src/aside"), longAgo, longAgo), os.Rename(b.at("src/aside"), b.at("src/replaced")))
	second := b.copy("second", "first")
	b.same("second")
	if second.Written != 4 || second.Linked == 0 || second.Bytes != first.Bytes {
		t.Errorf("the second copy says %+v, the first %+v", second, first)
	}
	for path, linked := range map[string]bool{"a/odd": true, "fifo": true, "links/rel": true, "sparse/pages": true, "content": false, "mode": false, "replaced": false} {
		if (inode(t, b.at("first", path)) == inode(t, b.at("second", path))) != linked {
			t.Errorf("%s is linked: %v", path, !linked)
		}
	}
	compare(t, was, describe(t, b.at("first")))
	must(t, os.Chmod(b.at("first/names"), 0o700), os.RemoveAll(b.at("first")))
	b.same("second")
	if r := b.verify("second", true); !r.Whole() {
		t.Errorf("without the first, the verification says %+v", r)
	}
}

// As of a volume made from a snapshot whose files are links to those of another: it shares no file with either.
func TestACopyOfALinkedCopySharesNothingWithIt(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.plantPlain()
	first := b.copy("first", "")
	b.copy("second", "first")
	r, err := Copy(background, b.dir("second"), b.dir("copy"), b.options("copy", ""))
	must(t, err)
	if r.Bytes != first.Bytes || r.Written != first.Written {
		t.Errorf("the copy says %+v, the first %+v", r, first)
	}
	b.same("copy")
	for _, path := range []string{"one", "a/odd", "fifo", "links/rel"} {
		if inode(t, b.at("second", path)) == inode(t, b.at("copy", path)) {
			t.Errorf("%s is one file with the snapshot's", path)
		}
	}
}

// A file of the previous copy that is not what its manifest says is of no use, nor is a manifest that cannot be read.
func TestADamagedPreviousCopyIsNotUsed(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("src/a", "content")
	b.write("src/b", "content")
	b.copy("first", "")
	must(t, os.WriteFile(b.at("first/a"), []byte("another"), 0o640))
	if r := b.copy("second", "first"); r.Linked != 1 {
		t.Errorf("%d are linked", r.Linked)
	}
	b.same("second")
	must(t, os.WriteFile(b.at("second.work/manifest"), []byte("no manifest"), 0o600))
	if r := b.copy("third", "second"); r.Linked != 0 {
		t.Errorf("%d are linked", r.Linked)
	}
	b.same("third")
}

func TestVerifyNamesWhatIsNotAsItWas(t *testing.T) {
	b := newBench(t, t.TempDir())
	for i := range 40 {
		b.write(fmt.Sprintf("src/d%d/f", i%4), fmt.Sprint(i))
		b.write(fmt.Sprintf("src/d%d/g%d", i%4, i), fmt.Sprint(i))
	}
	b.sparse("src/sparse", 1<<30, []int64{512 << 20})
	o := b.options("copy", "")
	o.Hash = true
	_, err := Copy(background, b.dir("src"), b.dir("copy"), o)
	must(t, err)
	if r := b.verify("copy", true); !r.Whole() || r.Hashed != 45 || r.Entries != 49 {
		t.Errorf("at first: %+v", r)
	}
	same := b.at("copy/d0/g8")
	info, err := os.Stat(same)
	must(t, err)
	must(t, os.WriteFile(same, []byte("9"), 0o640), os.Chtimes(same, info.ModTime(), info.ModTime()))
	must(t, os.Remove(b.at("copy/d0/g4")), os.RemoveAll(b.at("copy/d1")))
	b.write("copy/foreign/f", "f")
	b.write("copy/d2/g2", "longer")
	must(t, os.Chtimes(b.at("copy/d3/g3"), time.Time{}, longAgo))
	r := b.verify("copy", true)
	if got, want := r.Missing.String(), `"d0/g4", "d1", and 11 more`; !sameNames(got, want) || r.Missing.Count != 13 {
		t.Errorf("missing: %d, %s", r.Missing.Count, got)
	}
	if got := r.Foreign.String(); got != `"foreign"` {
		t.Errorf("foreign: %s", got)
	}
	for _, want := range []string{"d0/g8: another content", "d2/g2: 6 bytes, of 1", "d3/g3: another time"} {
		if !strings.Contains(r.Different.String(), want) {
			t.Errorf("different: %s, without %s", r.Different.String(), want)
		}
	}
	if r := b.verify("copy", false); strings.Contains(r.Different.String(), "content") {
		t.Errorf("without content: %s", r.Different.String())
	}
}

// sameNames compares lists whose order is that of several workers.
func sameNames(got, want string) bool {
	for name := range strings.SplitSeq(want, ", ") {
		if !strings.Contains(got, name) {
			return false
		}
	}
	return len(got) == len(want)
}

func TestProgressSaysHowFarItIs(t *testing.T) {
	b := newBench(t, t.TempDir())
	for i := range 50 {
		b.write(fmt.Sprint("src/", i), "1234567890")
	}
	o := b.options("copy", "")
	o.Progress = &Progress{}
	o.Progress.Expect(51, 500)
	_, err := Copy(background, b.dir("src"), b.dir("copy"), o)
	must(t, err)
	s := o.Progress.Status()
	if s.Entries != 51 || s.Bytes != 500 || s.OfEntries != 51 || s.OfBytes != 500 || s.Written != 500 || s.Rate <= 0 {
		t.Errorf("the status is %+v", s)
	}
}
