// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

func TestDeepTreesNeedFewDescriptors(t *testing.T) {
	const depth = 5000
	parent := t.TempDir()
	root := filepath.Join(parent, "top")
	must(t, os.Mkdir(root, 0o700))
	nest(t, root, depth)
	dir, above := hold(t, root), hold(t, parent)

	most := heldDirectories + 3*granters
	limitDescriptors(t, openDescriptors(t)+most)
	must(t, Grant(background, dir, 2002, nil, nil))
	v := &counter{}
	v.leave = func(d *Directory) error {
		return d.Use(func(dir *safepath.Dir) error {
			if done, err := Granted(dir, 2002); err != nil || !done {
				return fmt.Errorf("%d deep is not granted: %w", d.depth, err)
			}
			return nil
		})
	}
	must(t, Walk(background, dir, v, Options{Workers: 4}))
	if v.left.Load() != depth+1 || v.visited.Load() != depth {
		t.Errorf("%d directories and %d files", v.left.Load(), v.visited.Load())
	}
	must(t, Remove(background, above, "top", nil, nil, func() {}))
	if names, err := above.Names(0); len(names) != 0 || err != nil {
		t.Errorf("%q is left, %v", names, err)
	}
}

// limitDescriptors is for this process and the time of the test.
func limitDescriptors(t *testing.T, most int) {
	t.Helper()
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(most), Max: before.Max}))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) })
}

// On the way back up each descriptor that was let go is had again: with the last 32 alone held, by opening 15,000.
func TestReachingADirectoryAgainIsCheap(t *testing.T) {
	const depth, limit = 1000, 32
	root := t.TempDir()
	nest(t, root, depth)
	var opened atomic.Int64
	v := &counter{}
	v.leave = func(d *Directory) error {
		d.walk.held.mu.Lock()
		for at := d; at.kept.dir == nil; at = at.parent {
			opened.Add(1)
		}
		d.walk.held.mu.Unlock()
		return d.Use(func(*safepath.Dir) error { return nil })
	}
	w := newWalk(background, v, Options{})
	w.held.limit = limit
	must(t, w.walk(hold(t, root)))
	if n := opened.Load(); n == 0 || n > 8*depth {
		t.Errorf("%d were opened again", n)
	}
}

func TestAHugeDirectoryOfFilesTakesNoMemory(t *testing.T) {
	const files = 100_000
	root := t.TempDir()
	dir := hold(t, root)
	long := strings.Repeat("n", 180) // 20 MB of names in all
	for i := range files {
		must(t, unix.Mknodat(dir.Fd(), fmt.Sprint(long, i), unix.S_IFREG|0o600, 0))
	}
	before := liveHeap()
	var most int64
	var others sync.RWMutex
	v := &counter{}
	v.entry = func(n int64) {
		if n%10_000 != 0 {
			others.RLock()
			defer others.RUnlock()
			return
		}
		// Nobody else goes on meanwhile: on a busy machine the others' garbage since the last collection would be
		// measured, and not what the walk keeps.
		others.Lock()
		defer others.Unlock()
		most = max(most, liveHeap()-before)
	}
	must(t, Walk(background, dir, v, Options{Workers: 8, Batch: 64}))
	if v.visited.Load() != files || most > 1<<20 {
		t.Errorf("%d files were visited, with %d bytes in use", v.visited.Load(), most)
	}
	must(t, Remove(background, hold(t, filepath.Dir(root)), filepath.Base(root), nil, nil, func() {}))
}

// liveHeap is how many bytes are in use. Who calls it sees to it that nobody allocates meanwhile. The second collection
// takes what was made while the first went on.
func liveHeap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// counter is a visitor that remembers nothing but numbers.
type counter struct {
	visited, left atomic.Int64
	entry         func(n int64)
	leave         func(d *Directory) error
}

func (c *counter) Enter(*Directory, *safepath.Dir) error { return nil }

func (c *counter) Entry(Worker, *Directory, *safepath.Dir, string) error {
	if n := c.visited.Add(1); c.entry != nil {
		c.entry(n)
	}
	return nil
}

func (c *counter) Leave(d *Directory) (again bool, err error) {
	c.left.Add(1)
	if c.leave != nil {
		err = c.leave(d)
	}
	return false, err
}

func TestAHugeDirectoryOfDirectoriesIsReadInParts(t *testing.T) {
	const directories, budget = 1000, 16 << 10
	root := t.TempDir()
	var all []string
	for i := range directories {
		all = append(all, fmt.Sprintf("d%d", i))
		must(t, os.Mkdir(filepath.Join(root, all[i]), 0o700))
	}
	plant(t, root, "f")
	s := &spy{}
	w := newWalk(background, s, Options{Workers: 4, Batch: 16})
	w.names.Store(budget)
	s.enter = func(string) error {
		if left := w.names.Load(); left < 0 {
			return fmt.Errorf("%d bytes of names are kept", budget-left)
		}
		return nil
	}
	must(t, w.walk(hold(t, root)))
	same(t, "left", s.left, append(all, ".")...)
	same(t, "visited", s.visited, "f")
	if w.names.Load() != budget {
		t.Errorf("%d bytes of names are still counted", budget-w.names.Load())
	}
}
