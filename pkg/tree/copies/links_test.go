// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// GlusterFS allows a file 100 names by default. The bricks' file system may allow fewer, so some copies are links and
// some are not, and each is whole.
func TestCopiesInARowPassTheLimitOfLinks(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	limit := sized(4, 100)
	must(t, c.SetOption("gv0", "storage.max-hardlinks", fmt.Sprint(limit)))
	t.Cleanup(func() { must(t, c.SetOption("gv0", "storage.max-hardlinks", "100")) })
	b := newBench(t, onGluster(t, mountOf(t, c)))
	b.plantMany("src", 5)
	must(t, os.Link(b.at("src/0/f0"), b.at("src/another name")))
	const row = 6
	copied := 0
	previous := ""
	for i := range sized(row, 120) {
		name := fmt.Sprint("copy", i)
		r := b.copy(name, previous)
		b.same(name)
		if i > 0 && r.Linked < 6 {
			copied++
		}
		previous = name
	}
	if copied == 0 {
		t.Error("the limit was not met")
	}
	must(t, os.RemoveAll(b.at("copy0")), os.RemoveAll(b.at("copy3")))
	for i := range row {
		if i != 0 && i != 3 {
			if r := b.verify(fmt.Sprint("copy", i), false); !r.Whole() {
				t.Errorf("copy %d: %+v", i, r)
			}
		}
	}
}

func TestASecondCopyCostsWhatChanged(t *testing.T) {
	b := newBench(t, onGluster(t, mount(t, testcluster.Options{})))
	files := sized(200, 20_000)
	b.plantMany("src", files)
	begun := time.Now()
	first := b.copy("first", "")
	firstTook := time.Since(begun)
	for i := 0; i < files; i += 100 {
		b.write(fmt.Sprintf("src/%d/f%d", i/100, i), fmt.Sprint("changed ", i))
	}
	begun = time.Now()
	second := b.copy("second", "first")
	t.Logf("first: %s, %d bytes; second: %s, %d bytes", firstTook, first.Written, time.Since(begun), second.Written)
	if second.Written*50 > first.Written || second.Linked != int64(files-(files+99)/100) {
		t.Errorf("the second wrote %d bytes of %d, and linked %d", second.Written, first.Written, second.Linked)
	}
	b.same("second")
	must(t, os.RemoveAll(b.at("first")))
	if r := b.verify("second", false); !r.Whole() {
		t.Errorf("the second, after the first was deleted: %+v", r)
	}
	b.same("second")
}
