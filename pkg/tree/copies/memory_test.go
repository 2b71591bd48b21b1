// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Every file has two names, so hard links are among what might be remembered.
func TestMemoryDoesNotGrowWithTheTree(t *testing.T) {
	b := newBench(t, t.TempDir())
	must(t, unix.Mount("none", b.root, "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(b.root, unix.MNT_DETACH)) })
	must(t, os.MkdirAll(b.at("src/huge"), 0o700), os.MkdirAll(b.at("src/links"), 0o700))
	files := sized(10_000, 500_000)
	for i := range files {
		name := fmt.Sprint(strings.Repeat("n", 200), i)
		must(t, unix.Mknod(b.at("src/huge", name), unix.S_IFREG|0o600, 0), os.Link(b.at("src/huge", name), b.at("src/links", name)))
	}
	var most, n int64
	var others, mu sync.RWMutex
	before := liveHeap()
	atStep(t, func(name string) {
		if name != "before an entry is written down" {
			return
		}
		mu.Lock()
		n++
		now := n%int64(files/5) == 0
		mu.Unlock()
		if !now {
			others.RLock()
			defer others.RUnlock()
			return
		}
		others.Lock() // nobody else's garbage is measured
		defer others.Unlock()
		most = max(most, liveHeap()-before)
	})
	r := b.copy("copy", "")
	if r.Entries != int64(2*files)+3 {
		t.Errorf("%d entries", r.Entries)
	}
	// The manifest's records in memory, and a buffer for each worker that has copied content: there is none here.
	t.Logf("%d bytes", most)
	if most > 24<<20 {
		t.Errorf("%d bytes are in use for %d entries", most, r.Entries)
	}
}

func liveHeap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// With as few descriptors as the package comment says.
func TestACopyNeedsFewDescriptors(t *testing.T) {
	b := newBench(t, t.TempDir())
	const depth = 600
	b.plantDeep(depth)
	b.copy("first", "")
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	const held = 128 // of a tree: see package tree
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(open) + 3*held + 8*workers), Max: limit.Max}))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) })
	r := b.copy("second", "first")
	if r.Linked != depth {
		t.Errorf("%d are linked", r.Linked)
	}
}
