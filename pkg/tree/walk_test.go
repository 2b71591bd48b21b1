// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

func TestEverythingIsVisitedOnceAndADirectoryLeftAfterAllInIt(t *testing.T) {
	for _, workers := range []int{1, 2, 16} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			root := t.TempDir()
			directories, files := []string{"."}, []string{}
			for i := range 6 {
				for j := range 6 {
					sub := fmt.Sprintf("a%d/b%d", i, j)
					directories = append(directories, sub)
					for k := range 40 {
						files = append(files, fmt.Sprintf("%s/f%d", sub, k))
					}
				}
				directories = append(directories, fmt.Sprint("a", i))
			}
			plant(t, root, files...)
			var below sync.Map // how much of each directory is yet to come
			s := &spy{entry: func(path string) error {
				if _, entered := below.Load(filepath.Dir(path)); !entered {
					return errors.New("its directory was not entered")
				}
				below.Store(path, true)
				return nil
			}}
			s.enter = func(path string) error {
				if _, entered := below.Load(filepath.Dir(path)); !entered && path != "." {
					return errors.New("its parent was not entered")
				}
				below.Store(path, true)
				return nil
			}
			s.leave = func(_ *Directory, path string) error {
				for _, file := range files {
					if _, visited := below.Load(file); strings.HasPrefix(file, path+"/") && !visited {
						return fmt.Errorf("%s comes after %s was left", file, path)
					}
				}
				return nil
			}
			must(t, Walk(background, hold(t, root), s, Options{Workers: workers, Batch: 16}))
			same(t, "entered", s.entered, directories...)
			same(t, "left", s.left, directories...)
			same(t, "visited", s.visited, files...)
			if last := s.left[len(s.left)-1]; last != "." {
				t.Errorf("the last directory is %s", last)
			}
		})
	}
}

func TestOwnKeepsTheWalkOut(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a/f", "foreign/secret/f", "b/c/f")
	foreign := errors.New("another's")
	own := func(dir *safepath.Dir, _ unix.Stat_t) error {
		if filepath.Base(dir.Name()) == "foreign" {
			return fmt.Errorf("%s: %w", dir.Name(), foreign)
		}
		return nil
	}
	before := owner(t, filepath.Join(root, "foreign/secret/f"))
	s := &spy{Visitor: &granter{2002}}
	wants(t, Walk(background, hold(t, root), s, Options{Workers: 2, Own: own}), foreign)
	same(t, "entered", s.entered, ".", "a", "b", "b/c")
	same(t, "visited", s.visited, "a/f", "b/c/f")
	same(t, "left", s.left, ".", "a", "b", "b/c")
	for _, path := range []string{"foreign", "foreign/secret", "."} {
		if got := owner(t, filepath.Join(root, path)); got[:2] != "0 " {
			t.Errorf("%s is %s", path, got)
		}
	}
	if got := owner(t, filepath.Join(root, "foreign/secret/f")); got != before {
		t.Errorf("the foreign file is %s", got)
	}
	wants(t, Remove(background, hold(t, filepath.Dir(root)), filepath.Base(root), own, nil, func() {}), foreign)
	var left []string
	must(t, filepath.Walk(root, func(path string, _ os.FileInfo, err error) error {
		rel, _ := filepath.Rel(root, path)
		left = append(left, rel)
		return err
	}))
	same(t, "left by a removal", left, ".", "foreign", "foreign/secret", "foreign/secret/f")
}

func TestCheckEndsAtTheFirstThatIsRefused(t *testing.T) {
	root := t.TempDir()
	for i := range 100 {
		plant(t, root, fmt.Sprintf("%02d/sub/f", i))
	}
	must(t, Check(background, hold(t, root), func(*safepath.Dir, unix.Stat_t) error { return nil }, nil))
	var asked atomic.Int64
	foreign := errors.New("another's")
	wants(t, Check(background, hold(t, root), func(*safepath.Dir, unix.Stat_t) error { asked.Add(1); return foreign }, nil), foreign)
	if n := asked.Load(); n < 1 || n > granters {
		t.Errorf("%d directories were asked about", n)
	}
}

func TestErrorsStopNothingBesideThem(t *testing.T) {
	root := t.TempDir()
	var files []string
	for i := range 60 {
		files = append(files, fmt.Sprintf("d%d/f%d", i%3, i))
	}
	plant(t, root, files...)
	var failed sync.Map
	s := &spy{entry: func(path string) error {
		if strings.HasPrefix(path, "d1/") {
			return &os.PathError{Op: "visit", Path: path, Err: unix.EIO}
		}
		return nil
	}}
	s.leave = func(d *Directory, path string) error { failed.Store(path, d.Failed()); return nil }
	err := Walk(background, hold(t, root), s, Options{Workers: 4, Batch: 16})
	wants(t, err, unix.EIO)
	var all *WalkError
	if !errors.As(err, &all) || all.Count != 20 || len(all.First) != errorsNamed || !strings.HasSuffix(err.Error(), "and 15 errors more") {
		t.Errorf("the errors are %v", err)
	}
	same(t, "visited", s.visited, files...)
	for path, want := range map[string]bool{".": true, "d0": false, "d1": true, "d2": false} {
		if got, _ := failed.Load(path); got != want {
			t.Errorf("%s failed: %v", path, got)
		}
	}
}

func TestErrorsOfTheFileSystemItselfEndTheWalk(t *testing.T) {
	root := t.TempDir()
	for i := range 50 {
		plant(t, root, fmt.Sprint(i))
	}
	s := &spy{entry: func(string) error { return unix.ENOTCONN }}
	wants(t, Walk(background, hold(t, root), s, Options{}), unix.ENOTCONN)
	if len(s.visited) != 1 || len(s.left) != 0 {
		t.Errorf("%d were visited, %q left", len(s.visited), s.left)
	}
}

func TestErrorsAreMadeOfPanics(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b", "c/d")
	s := &spy{entry: func(path string) error {
		if path == "c/d" {
			panic("at " + path)
		}
		return nil
	}}
	err := Walk(background, hold(t, root), s, Options{Workers: 4})
	if err == nil || !strings.Contains(err.Error(), "panic: at c/d") {
		t.Errorf("the error is %v", err)
	}
	same(t, "left", s.left, ".", "c")
}

func TestAWalkEndsWithItsContext(t *testing.T) {
	root := t.TempDir()
	for i := range 50 {
		plant(t, root, fmt.Sprintf("d/%d", i))
	}
	ctx, cancel := context.WithCancelCause(background)
	enough := errors.New("enough")
	s := &spy{entry: func(string) error { cancel(enough); return nil }}
	wants(t, Walk(ctx, hold(t, root), s, Options{Workers: 1}), enough)
	if len(s.visited) != 1 || len(s.left) != 0 {
		t.Errorf("%d were visited, %q left", len(s.visited), s.left)
	}
}

func TestALongWalkSaysWhereItIs(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b")
	log := &lines{}
	ctx := klog.NewContext(background, textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log))))
	w := newWalk(ctx, nil, Options{})
	w.progress.entries.Store(7)
	w.progress.bytes.Store(42)
	stop := w.progress.report(ctx, "counting sheep", root, time.Microsecond)
	for deadline := time.Now().Add(10 * time.Second); !log.has(`"Still counting sheep"`, "entries=7", "bytes=42", "entriesPerSecond="); {
		if time.Now().After(deadline) {
			t.Fatalf("the log says %q", log.all())
		}
		runtime.Gosched()
	}
	stop()
	if !log.has(`"Ended counting sheep"`) {
		t.Errorf("the log says %q", log.all())
	}
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(line))
	return len(line), nil
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.text)
}

// has says whether a line has all the words.
func (l *lines) has(words ...string) bool {
	return slices.ContainsFunc(l.all(), func(line string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
	})
}
