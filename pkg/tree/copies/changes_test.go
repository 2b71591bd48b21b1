// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// atStep has fn called at each step of the copies of a test.
func atStep(t *testing.T, fn func(name string)) {
	t.Helper()
	step = fn
	t.Cleanup(func() { step = func(string) {} })
}

// A recorder writes to some files each time that the content of one was written, and knows which went on changing,
// since it alone changes them.
func TestWhatChangesMeanwhileIsCounted(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bench) {
		for i := range 10 {
			b.write(fmt.Sprintf("src/still/%d", i), strings.Repeat("still", 100))
		}
		b.write("src/always", "0")
		b.write("src/once", "0")
		b.write("src/goes", "0")
		b.write("src/dir/f", "0")
		b.write("src/dir goes/f", "0")
		var recorder sync.Mutex
		writes := 0
		atStep(t, func(name string) {
			recorder.Lock()
			defer recorder.Unlock()
			switch name {
			case "content written":
				writes++
				must(t, os.WriteFile(b.at("src/always"), []byte(fmt.Sprint("write ", writes)), 0o640))
			case "file made":
				if err := os.Remove(b.at("src/goes")); err == nil {
					must(t, os.WriteFile(b.at("src/once"), []byte("another content"), 0o640))
				}
				_ = os.RemoveAll(b.at("src/dir goes"))
			}
		})
		r := b.copy("copy", "")
		if r.Changed.Count != 1 || len(r.Changed.First) != 1 || r.Changed.First[0] != "always" {
			t.Errorf("changed: %+v, after %d writes", r.Changed, writes)
		}
		if r.Vanished.Count < 1 {
			t.Errorf("vanished: %+v", r.Vanished)
		}
		step = func(string) {}
		b.copy("copy", "")
		b.same("copy")
	})
}

func TestVanishedDirectoriesAreCounted(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("src/a", "f")
	for i := range 5 {
		b.write(fmt.Sprintf("src/d%d/f", i), "f")
	}
	atStep(t, func(name string) {
		if name == "file made" { // all are listed by then, and none is done
			for i := range 5 {
				_ = os.RemoveAll(b.at(fmt.Sprintf("src/d%d", i)))
			}
		}
	})
	r := b.copy("copy", "")
	for i := range 5 {
		// It may have been met when it was empty already, and still there.
		left, err := os.ReadDir(b.at(fmt.Sprintf("copy/d%d", i)))
		if !strings.Contains(r.Vanished.String(), fmt.Sprint(`"d`, i)) && (err != nil || len(left) > 0) {
			t.Errorf("d%d is not among the vanished: %s", i, r.Vanished.String())
		}
	}
}

// A pod that exchanges directories for links to another tenant's, and files for devices and links, as fast as it can.
func TestAPodThatExchangesDirectoriesForLinks(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("outside/secret", "another tenant's secret")
	b.write("outside/sub/secret", "another tenant's secret")
	for i := range 20 {
		b.write(fmt.Sprintf("src/d%d/sub/secret", i), "own")
		b.write(fmt.Sprintf("src/d%d/secret", i), "own")
	}
	before := describe(t, b.at("outside"))
	var ended atomic.Bool
	var pod sync.WaitGroup
	exchanges := 0
	pod.Go(func() {
		for i := 0; !ended.Load(); i = (i + 1) % 20 {
			for path, to := range map[string]string{fmt.Sprintf("src/d%d", i): "../outside", fmt.Sprintf("src/d%d/sub", i): b.at("outside"), fmt.Sprintf("src/d%d/secret", i): "../../outside/secret"} {
				if os.Symlink(to, b.at("link")) == nil &&
					unix.Renameat2(unix.AT_FDCWD, b.at("link"), unix.AT_FDCWD, b.at(path), unix.RENAME_EXCHANGE) == nil {
					_ = unix.Renameat2(unix.AT_FDCWD, b.at("link"), unix.AT_FDCWD, b.at(path), unix.RENAME_EXCHANGE)
					exchanges++
				}
				_ = os.RemoveAll(b.at("link"))
			}
		}
	})
	for range 30 {
		_, err := Copy(background, b.dir("src"), b.dir("copy"), b.options("copy", ""))
		// The walk's, for what was a link when it came there, and was a directory again when it looked.
		if err != nil && !errors.Is(err, unix.EISDIR) && !errors.Is(err, safepath.ErrLink) {
			t.Error(err)
		}
		for path, text := range describe(t, b.at("copy")) {
			if strings.Contains(path, "secret") && strings.Contains(text, "size 23 ") {
				t.Fatalf("%s is the other tenant's: %s", path, text)
			}
		}
	}
	ended.Store(true)
	pod.Wait()
	if exchanges < 100 {
		t.Errorf("only %d exchanges", exchanges)
	}
	compare(t, before, describe(t, b.at("outside")))
}

// Nothing is written outside of the copy, whoever puts a link into it.
func TestALinkInTheCopyIsNotFollowed(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("outside/f", "another's")
	b.write("src/d/f", "own")
	b.write("src/f", "own")
	must(t, os.MkdirAll(b.at("copy"), 0o700), os.Symlink("../outside", b.at("copy/d")), os.Symlink("../outside/f", b.at("copy/f")))
	before := describe(t, b.at("outside"))
	b.copy("copy", "")
	b.same("copy")
	compare(t, before, describe(t, b.at("outside")))
}

func TestErrorsOfRoomEndTheCopyAndItGoesOn(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.plantMany("src", 1200)
	full := errors.New("below 5 % free")
	asked := 0
	o := b.options("copy", "")
	o.Room = func() error {
		if asked++; asked == 2 {
			return full
		}
		return nil
	}
	r, err := Copy(background, b.dir("src"), b.dir("copy"), o)
	if !errors.Is(err, full) || r.Entries < 900 || r.Entries > 1100 {
		t.Errorf("%d entries, %v", r.Entries, err)
	}
	r = b.copy("copy", "")
	b.same("copy")
	if r.Found < 900 {
		t.Errorf("of an earlier attempt there were %d", r.Found)
	}
}

func TestAFullDestinationSaysSo(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("src/large", strings.Repeat("x", 4<<20))
	small := b.at("small")
	must(t, os.Mkdir(small, 0o700), unix.Mount("none", small, "tmpfs", 0, "size=2m"))
	t.Cleanup(func() { must(t, unix.Unmount(small, unix.MNT_DETACH)) })
	must(t, os.Mkdir(b.at("small/copy"), 0o700), os.Mkdir(b.at("small/work"), 0o700))
	_, err := Copy(background, b.dir("src"), b.dir("small/copy"), Options{Work: b.dir("small/work")})
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "free some") {
		t.Errorf("the error is %v", err)
	}
}

// What GlusterFS answers when a brick is away in the middle is tested here by the real thing: one of two is killed.
func TestACopyGoesOnWithoutABrick(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	b := newBench(t, onGluster(t, mountOf(t, c)))
	b.plantMany("src", 60)
	var once sync.Once
	atStep(t, func(name string) {
		if name == "content written" {
			once.Do(func() { must(t, c.KillBrick("gv0", 1)) })
		}
	})
	b.copy("copy", "")
	b.same("copy")
}

func TestAttributesThatTheDestinationDoesNotTakeAreNamed(t *testing.T) {
	b := newBench(t, t.TempDir())
	must(t, unix.Mount("none", b.at("src"), "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(b.at("src"), unix.MNT_DETACH)) })
	b.write("src/d/f", "content")
	must(t, unix.Setxattr(b.at("src/d/f"), "user.large", make([]byte, 30<<10), 0), unix.Setxattr(b.at("src/d/f"), "user.small", []byte("1"), 0))
	r := b.copy("copy", "")
	if r.Unkept.Count != 1 || !strings.HasPrefix(r.Unkept.First[0], "d/f: user.large: ") {
		t.Errorf("%+v", r.Unkept)
	}
	value := make([]byte, 10)
	if n, err := unix.Getxattr(b.at("copy/d/f"), "user.small", value); err != nil || string(value[:n]) != "1" {
		t.Errorf("the small one is %q, %v", value[:n], err)
	}
}
