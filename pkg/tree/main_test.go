// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// spy is a visitor that remembers what it was told, and lets a test act at that moment.
type spy struct {
	Visitor // where set, does the work

	enter func(path string) error
	entry func(path string) error
	leave func(d *Directory, path string) error

	mu                     sync.Mutex
	entered, visited, left []string
}

// pathOf is a directory's path from the top.
func pathOf(d *Directory) string {
	if d.Parent() == nil {
		return "."
	}
	var names []string
	for ; d.Parent() != nil; d = d.Parent() {
		names = append(names, d.Name())
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

func (s *spy) note(list *[]string, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, path)
}

func (s *spy) Enter(d *Directory, dir *safepath.Dir) error {
	s.note(&s.entered, pathOf(d))
	if s.enter != nil {
		if err := s.enter(pathOf(d)); err != nil {
			return err
		}
	}
	if s.Visitor != nil {
		return s.Visitor.Enter(d, dir)
	}
	return nil
}

func (s *spy) Entry(w Worker, d *Directory, dir *safepath.Dir, name string) error {
	path := filepath.Join(pathOf(d), name)
	s.note(&s.visited, path)
	if s.entry != nil {
		if err := s.entry(path); err != nil {
			return err
		}
	}
	if s.Visitor != nil {
		return s.Visitor.Entry(w, d, dir, name)
	}
	return nil
}

func (s *spy) Leave(d *Directory) (again bool, err error) {
	s.note(&s.left, pathOf(d))
	if s.leave != nil {
		if err := s.leave(d, pathOf(d)); err != nil {
			return false, err
		}
	}
	if s.Visitor != nil {
		return s.Visitor.Leave(d)
	}
	return false, nil
}

var background = context.Background()

// hold holds a directory of the test's own.
func hold(t *testing.T, path string) *safepath.Dir {
	t.Helper()
	dir, err := safepath.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	return dir
}

// plant makes what is listed below root: "d/" is a directory, "a -> b" a link, all else a file.
func plant(t *testing.T, root string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		at := filepath.Join(root, path)
		if link, to, is := cutArrow(path); is {
			must(t, os.Symlink(to, filepath.Join(root, link)))
		} else if path[len(path)-1] == '/' {
			must(t, os.MkdirAll(at, 0o700))
		} else {
			must(t, os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, nil, 0o600))
		}
	}
}

func cutArrow(path string) (link, to string, is bool) {
	for i := range path {
		if i+4 <= len(path) && path[i:i+4] == " -> " {
			return path[:i], path[i+4:], true
		}
	}
	return "", "", false
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// same compares without regard to order, but to number.
func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	got = slices.Sorted(slices.Values(got))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %.2000q, want %.2000q", what, got, want)
	}
}

func wants(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one that is %q", err, kind)
	}
}

// owner is the group and mode of what is at path.
func owner(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d %04o", st.Gid, st.Mode&0o7777)
}

// nest makes directories named d within each other, a file f beside each.
func nest(t *testing.T, root string, depth int) {
	t.Helper()
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(at, "d", 0o700), unix.Mknodat(at, "f", unix.S_IFREG|0o600, 0))
		next, err := unix.Openat(at, "d", unix.O_PATH|unix.O_DIRECTORY, 0)
		must(t, err, unix.Close(at))
		at = next
	}
	must(t, unix.Close(at))
}

// openDescriptors is how many this process has.
func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}
