// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// outside is a directory beside root, and the test fails if what is there has changed.
func outside(t *testing.T, root string) {
	t.Helper()
	parent := filepath.Dir(root)
	plant(t, parent, "outside/f", "outside/sub/f")
	paths := []string{"outside", "outside/f", "outside/sub", "outside/sub/f"}
	before := map[string]string{}
	for _, path := range paths {
		before[path] = owner(t, filepath.Join(parent, path))
	}
	t.Cleanup(func() {
		for _, path := range paths {
			if got := owner(t, filepath.Join(parent, path)); got != before[path] {
				t.Errorf("%s became %s", path, got)
			}
		}
	})
}

// below makes root in a directory of the test's own, with what is listed.
func below(t *testing.T, paths ...string) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(root, 0o700))
	outside(t, root)
	plant(t, root, paths...)
	return root
}

func TestNoLinkIsFollowed(t *testing.T) {
	root := below(t, "b/f", "a -> ../outside", "b/c -> ../../outside/f", "b/loop -> .")
	s := &spy{Visitor: &granter{2002}}
	must(t, Walk(background, hold(t, root), s, Options{Workers: 4}))
	same(t, "entered", s.entered, ".", "b")
	if got := owner(t, filepath.Join(root, "a")); !strings.HasPrefix(got, "2002 ") {
		t.Errorf("the link itself is %s", got)
	}
	must(t, Remove(background, hold(t, filepath.Dir(root)), "root", nil, nil, func() {}))
}

func TestNoLinkIsFollowedThatComesDuringTheWalk(t *testing.T) {
	root := below(t, "file", "trigger", "listed/f", "held/f", "held/sub/f")
	at := func(path string) string { return filepath.Join(root, path) }
	away := func(path, to string) error {
		if err := os.Rename(at(path), at("../"+filepath.Base(path)+".away")); err != nil {
			return err
		}
		return os.Symlink(to, at(path))
	}
	s := &spy{Visitor: &granter{2002}}
	s.entry = func(path string) error {
		switch path {
		case "file": // after it was listed as a file
			return away("file", "../outside/f")
		case "trigger": // after it was listed as a directory
			return away("listed", "../outside")
		}
		return nil
	}
	s.enter = func(path string) error {
		if path == "held" { // after it was opened
			return away("held", "../outside")
		}
		return nil
	}
	must(t, Walk(background, hold(t, root), s, Options{Workers: 1}))
	same(t, "entered", s.entered, ".", "held", "held/sub")
	same(t, "visited", s.visited, "file", "trigger", "listed", "held/f", "held/sub/f")
}

func TestAFileThatBecomesADirectoryIsEntered(t *testing.T) {
	for _, workers := range []int{1, 4} {
		root := below(t, "file", "other")
		s := &spy{Visitor: &granter{2002}}
		s.entry = func(path string) error {
			if path == "file" {
				must(t, os.Remove(filepath.Join(root, "file")))
				plant(t, root, "file/sub/f")
			}
			return nil
		}
		must(t, Walk(background, hold(t, root), s, Options{Workers: workers}))
		same(t, "entered", s.entered, ".", "file", "file/sub")
		same(t, "left", s.left, ".", "file", "file/sub")
		if got := owner(t, filepath.Join(root, "file/sub/f")); got != "2002 0660" {
			t.Errorf("with %d workers the file in it is %s", workers, got)
		}
	}
}

// The descriptors of the upper directories were let go when the bottom is reached.
func TestADirectoryThatWasMovedIsNotUsed(t *testing.T) {
	const depth, limit = 40, 4
	chain := func(n int) string { return strings.TrimPrefix(strings.Repeat("/d", n), "/") }
	for name, replace := range map[string]func(t *testing.T, root, place string){
		"nothing": func(*testing.T, string, string) {},
		"a link": func(t *testing.T, _, place string) {
			must(t, os.Symlink(strings.Repeat("../", 10)+"decoy", place))
		},
		"another directory": func(t *testing.T, root, place string) {
			must(t, os.Rename(filepath.Join(root, "decoy"), place))
		},
	} {
		t.Run("replaced by "+name, func(t *testing.T) {
			root := below(t, "decoy/"+chain(depth)+"/", "x/"+chain(depth)+"/")
			decoy, err := filepath.EvalSymlinks(filepath.Join(root, "decoy"))
			must(t, err)
			held := hold(t, decoy)
			s := &spy{Visitor: &granter{2002}}
			s.enter = func(path string) error {
				if path == "x/"+chain(depth) {
					place := filepath.Join(root, "x", chain(9))
					must(t, os.Rename(place, filepath.Join(root, "../away")))
					replace(t, root, place)
				}
				return nil
			}
			// The decoy is granted by nobody.
			w := newWalk(background, s, Options{Own: notNamed("decoy")})
			w.held.limit = limit
			wants(t, w.walk(hold(t, root)), ErrMoved)
			if st, err := held.Stat(); err != nil || st.Gid == 2002 {
				t.Errorf("the other directory was granted, %v", err)
			}
			if granted, err := Granted(hold(t, root), 2002); granted || err != nil {
				t.Errorf("the top says that all is granted, %v", err)
			}
			if got := owner(t, filepath.Join(root, "../away")); got[:2] != "0 " {
				t.Errorf("what was moved away is %s", got)
			}
		})
	}
}

func notNamed(name string) Own {
	return func(dir *safepath.Dir, _ unix.Stat_t) error {
		if filepath.Base(dir.Name()) == name {
			return fmt.Errorf("%s is another's", dir.Name())
		}
		return nil
	}
}

func TestAMountIsNeitherEnteredNorChanged(t *testing.T) {
	root := below(t, "mnt/", "sub/f")
	mnt := filepath.Join(root, "mnt")
	must(t, unix.Mount("none", mnt, "tmpfs", 0, "size=64k,mode=0700"))
	t.Cleanup(func() { must(t, unix.Unmount(mnt, unix.MNT_DETACH)) })
	plant(t, mnt, "f")
	for what, walk := range map[string]func() error{
		"Grant":  func() error { return Grant(background, hold(t, root), 2002, nil, nil) },
		"Remove": func() error { return Remove(background, hold(t, filepath.Dir(root)), "root", nil, nil, func() {}) },
	} {
		if err := walk(); err == nil || !strings.Contains(err.Error(), "mnt") {
			t.Errorf("%s says %v", what, err)
		}
		for path, want := range map[string]string{"mnt": "0 0700", "mnt/f": "0 0600"} {
			if got := owner(t, filepath.Join(root, path)); got != want {
				t.Errorf("%s: %s is %s", what, path, got)
			}
		}
	}
}

func TestGrantAddsBits(t *testing.T) {
	root := below(t, "d/f", "program")
	must(t, unix.Chmod(filepath.Join(root, "program"), 0o4711))
	s := &spy{Visitor: &granter{2002}}
	s.entry = func(path string) error { // long after d was entered, its owner opens it to others
		if path == "d/f" {
			return os.Chmod(filepath.Join(root, "d"), 0o705)
		}
		return nil
	}
	must(t, Walk(background, hold(t, root), s, Options{}))
	for path, want := range map[string]string{".": "2002 2770", "d": "2002 2775", "d/f": "2002 0660", "program": "2002 4771"} {
		if got := owner(t, filepath.Join(root, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestRemoveTakesWhatItCanAndNamesTheRest(t *testing.T) {
	root := below(t, "d0/f", "d1/stays/f", "d1/f", "d2/f", "new\nline \xff/\xfe/f")
	stays := filepath.Join(root, "d1/stays/f")
	must(t, unix.Mount(stays, stays, "", unix.MS_BIND, "")) // nobody can unlink a mount
	err := Remove(background, hold(t, filepath.Dir(root)), "root", nil, nil, func() {})
	must(t, unix.Unmount(stays, unix.MNT_DETACH))
	wants(t, err, unix.EBUSY)
	if !strings.Contains(err.Error(), "d1/stays/f") || strings.Contains(err.Error(), "not empty") {
		t.Errorf("the error is %v", err)
	}
	left, err := filepath.Glob(filepath.Join(root, "*/*"))
	must(t, err)
	same(t, "left", left, filepath.Join(root, "d1/stays"))
	must(t, Remove(background, hold(t, filepath.Dir(root)), "root", nil, nil, func() {}))
	must(t, Remove(background, hold(t, filepath.Dir(root)), "root", nil, nil, func() {})) // not there
	if _, err := os.Lstat(root); !os.IsNotExist(err) {
		t.Errorf("the second time it is still there: %v", err)
	}
}

func TestTwoRemoveTheSameTree(t *testing.T) {
	root := below(t)
	for i := range 500 {
		plant(t, root, fmt.Sprintf("a%d/b%d/f%d", i%5, i%50, i))
	}
	var both sync.WaitGroup
	for range 2 {
		dir := hold(t, filepath.Dir(root))
		both.Go(func() {
			if err := Remove(background, dir, "root", nil, nil, func() {}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if _, err := os.Lstat(root); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// A pod that goes on writing into a deleted volume.
func TestRemoveDoesNotGoOnForEver(t *testing.T) {
	root := below(t, "d/f", "e/f")
	s := &spy{}
	passes := 0
	s.Visitor = &remover{parent: hold(t, filepath.Dir(root)), name: "root", removed: func() {}}
	s.leave = func(_ *Directory, path string) error {
		if path == "d" {
			passes++
			plant(t, root, "d/again")
		}
		return nil
	}
	err := Walk(background, hold(t, root), s, Options{InTurn: true, IgnoreMoved: true})
	wants(t, err, unix.ENOTEMPTY)
	if passes != removePasses || !strings.Contains(err.Error(), "goes on writing") {
		t.Errorf("%d passes, %v", passes, err)
	}
}
