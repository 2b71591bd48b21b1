// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Snap is what this run had at one moment: processes, mounts, loop devices and temporary files.
//
// A run is this process with everything it started, at any remove, even if orphaned or started with an empty environment
// (see testRun.owns), and nothing of the test binaries that run beside it.
type Snap struct {
	processes map[identity]string
	mounts    map[string]string
	loops     map[loop]string
	files     map[string]string
}

type identity struct {
	pid   int
	start uint64
}

// Snapshot takes stock of this run. It panics where /proc cannot be read.
func Snapshot() Snap {
	s := Snap{processes: map[identity]string{}, mounts: map[string]string{}, loops: map[loop]string{}, files: map[string]string{}}
	for _, p := range thisRun.processes() {
		s.processes[identity{p.pid, p.start}] = p.String()
	}
	for _, m := range thisRun.mounts() {
		s.mounts[fmt.Sprint(m.ID, m.Mountpoint)] = fmt.Sprintf("mount of %s (%s) at %s", m.Source, m.FSType, m.Mountpoint)
	}
	for _, l := range thisRun.loops() {
		s.loops[l] = l.String()
	}
	for _, path := range thisRun.files() {
		s.files[path] = "temporary file " + path
	}
	return s
}

// Leaks describes what this run has now and did not have when s was taken, sorted.
func (s Snap) Leaks() []string {
	now := Snapshot()
	return slices.Concat(newIn(now.processes, s.processes), newIn(now.mounts, s.mounts), newIn(now.loops, s.loops), newIn(now.files, s.files))
}

func newIn[K comparable](now, before map[K]string) []string {
	var found []string
	for key, text := range now {
		if _, had := before[key]; !had {
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return found
}

// processes are the run's, without this one. A zombie counts only as a child of this process: others are their parent's
// business, and an init that does not reap is nobody's leak.
func (r *testRun) processes() []process {
	all, err := processes()
	if err != nil {
		panic(err)
	}
	descends := descendants(all, os.Getpid())
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(all, func(p process) bool {
		if p.pid == os.Getpid() || p.state == 'Z' && p.parent != os.Getpid() {
			return true
		}
		return !descends[p.pid] && (r.users == 0 || !r.owns(p))
	})
}

func descendants(all []process, root int) map[int]bool {
	children := map[int][]int{}
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p.pid)
	}
	found := map[int]bool{}
	for queue := children[root]; len(queue) > 0; queue = queue[1:] {
		found[queue[0]] = true
		queue = append(queue, children[queue[0]]...)
	}
	return found
}

// mounts are those below the run's directory, and those of its clusters' volumes wherever they are: a bind mount of a
// directory keeps the source of its file system, e.g. 127.128.3.1:/gv0.
func (r *testRun) mounts() []*mountinfo.Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		mine := r.users > 0 && isBelow(strings.TrimSuffix(m.Mountpoint, "//deleted"), r.dir)
		ours := slices.ContainsFunc(r.networks, func(network string) bool { return strings.Contains(m.Source, network) })
		return !mine && !ours, false
	})
	if err != nil {
		panic(err)
	}
	return found
}

func (r *testRun) loops() []loop {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == 0 {
		return nil
	}
	found, err := loopsBelow(r.dir)
	if err != nil {
		panic(err)
	}
	return found
}

func (r *testRun) files() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == 0 {
		return nil
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		panic(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, filepath.Join(r.dir, entry.Name()))
	}
	return found
}
