// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatAnybodyMayMakeIsCopied(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.plantPlain()
	first := b.copy("copy", "")
	b.same("copy")
	if first.Found != 0 || first.Changed.Count+first.Vanished.Count+first.Unkept.Count != 0 {
		t.Errorf("the copy says %+v", first)
	}
	b.needsNoMore("copy")
	again := b.copy("copy", "")
	b.same("copy")
	if again.Written != 0 || again.Entries != first.Entries || again.Bytes != first.Bytes {
		t.Errorf("again: %+v, first: %+v", again, first)
	}
}

// As of a volume that was made for the copy.
func TestTheTopHasTheAttributesOfTheSource(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("src/d/f", "f")
	must(t, os.Mkdir(b.at("copy"), 0o700), os.Chmod(b.at("copy"), os.ModeSetgid|0o777), os.Mkdir(b.at("copy/d"), 0o777))
	must(t, unix.Setxattr(b.at("copy"), "user.foreign", []byte("1"), 0), unix.Setxattr(b.at("copy/d"), "user.foreign", []byte("1"), 0))
	b.copy("copy", "")
	b.same("copy")
}

func TestWhatIsNotInTheSourceIsRemoved(t *testing.T) {
	b := newBench(t, t.TempDir())
	for _, path := range []string{"a/b/f", "a/g", "stays/f", "becomes a directory", "becomes a file/f/g"} {
		b.write("src/"+path, path)
	}
	b.copy("copy", "")
	must(t, os.RemoveAll(b.at("src/a")), os.Remove(b.at("src/becomes a directory")), os.RemoveAll(b.at("src/becomes a file")))
	b.write("src/becomes a directory/f", "f")
	b.write("src/becomes a file", "f")
	b.write("copy/foreign/f", "f")
	b.write("copy/stays/foreign", "f")
	b.copy("copy", "")
	b.same("copy")
	if r := b.verify("copy", false); !r.Whole() {
		t.Errorf("the verification says %+v", r)
	}
}
