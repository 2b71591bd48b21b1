// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// own are the hierarchies of this machine in which a Tree may have groups: version 1's with the controller memory, and version 2.
func own(t *testing.T) (found []hierarchy) {
	t.Helper()
	all, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		if h.v2 || h.isMemory() {
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		t.Fatalf("this machine has neither: %+v", all)
	}
	return found
}

// tree is a Tree with groups in a hierarchy, below a group of the test's.
func tree(t *testing.T, h hierarchy) *Tree {
	t.Helper()
	if h.v2 {
		_ = write(h.base, "cgroup.subtree_control", "+memory") // as make does, where the test's group is the base
	}
	base, err := os.MkdirTemp(h.base, "cgroup-test-") //nolint:usetesting // a control group
	if err != nil {
		t.Fatal(err)
	}
	h.base = base
	t.Cleanup(func() {
		if err := unix.Rmdir(h.base); err != nil {
			t.Errorf("remove %s: %v", h.base, err)
		}
	})
	return &Tree{name: "test", own: []hierarchy{h}}
}

// memoryTree is a tree where this machine counts memory.
func memoryTree(t *testing.T) *Tree {
	t.Helper()
	for _, h := range own(t) {
		controllers, err := os.ReadFile(filepath.Join(h.base, "cgroup.controllers"))
		if h.isMemory() || err == nil && slices.Contains(strings.Fields(string(controllers)), "memory") {
			return tree(t, h)
		}
	}
	t.Fatal("this machine counts memory in no hierarchy")
	return nil
}

// sleeper is a process that ends with the test at the latest.
func sleeper(t *testing.T) (pid int, end func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}
	t.Cleanup(end)
	return cmd.Process.Pid, end
}

func TestAProcessHasAGroupOfItsOwn(t *testing.T) {
	for _, h := range own(t) {
		t.Run(h.name(), func(t *testing.T) {
			groups := tree(t, h)
			if err := groups.Make(); err != nil {
				t.Fatal(err)
			}
			first, endFirst := sleeper(t)
			second, endSecond := sleeper(t)
			for group, pid := range map[string]int{"one": first, "two": second} {
				if err := groups.Add(group, Limits{}, pid); err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
				if path := groups.Path(group); err != nil || path == "" || !strings.Contains(string(text), ":"+path+"\n") {
					t.Errorf("process %d is in %s, not in %s: %v", pid, text, path, err)
				}
			}
			pids, err := groups.Processes()
			if slices.Sort(pids); err != nil || !slices.Equal(pids, []int{min(first, second), max(first, second)}) {
				t.Errorf("the processes are %v, %v", pids, err)
			}
			endFirst()
			groups.Remove()
			if groups.Path("one") != "" || groups.Path("two") == "" {
				t.Error("the group that is empty is there, or the other is not")
			}
			endSecond()
			groups.Remove()
			if left, err := os.ReadDir(groups.own[0].base); err != nil || slices.ContainsFunc(left, os.DirEntry.IsDir) {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

func TestTheLimitsOfAGroup(t *testing.T) {
	groups := memoryTree(t)
	defer groups.Remove()
	if err := groups.Make(); err != nil {
		t.Fatal(err)
	}
	pid, end := sleeper(t)
	defer end()
	limits, none := map[string]int64{"memory.limit_in_bytes": 64 << 20}, "9223372036854771712" // on pages of 4 KiB
	if groups.own[0].v2 {
		limits, none = map[string]int64{"memory.max": 64 << 20, "memory.high": 32 << 20}, "max"
	}
	if err := groups.Add("one", Limits{Max: 64 << 20, High: 32 << 20}, pid); err != nil {
		t.Fatal(err)
	}
	for file, want := range limits {
		if got := read(t, groups, file); got != fmt.Sprint(want) {
			t.Errorf("%s is %s, not %d", file, got, want)
		}
	}
	if err := groups.Limit("one", Limits{}); err != nil {
		t.Fatal(err)
	}
	for file := range limits {
		if got := read(t, groups, file); got != none {
			t.Errorf("without a limit %s is %s", file, got)
		}
	}
	if err := groups.Limit("gone", Limits{Max: 1}); err != nil {
		t.Errorf("of a group that is not there: %v", err)
	}
}

// read reads a file of the group "one".
func read(t *testing.T, groups *Tree, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(groups.path(groups.own[0]), "one", file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// eater is a process that uses this much memory when there is output from it, which waits for its reader: only what it takes after it was moved is counted in
// a group.
func eater(t *testing.T, groups *Tree, bytes int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf("read line; exec dd if=/dev/zero bs=%d count=1", bytes))
	input, err := cmd.StdinPipe()
	output, errOutput := cmd.StdoutPipe()
	if err := errors.Join(err, errOutput, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		groups.Remove()
	})
	if err := groups.Add("one", Limits{}, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintln(input)
	if _, errRead := output.Read(make([]byte, 1)); err != nil || errRead != nil {
		t.Fatal(err, errRead)
	}
}

func TestALimitThatWouldEndWhatRunsIsNotSet(t *testing.T) {
	groups := memoryTree(t)
	const used = 32 << 20
	eater(t, groups, used)
	if err := groups.Limit("one", Limits{Max: used / 2}); !errors.Is(err, ErrNoLimit) || !strings.Contains(err.Error(), "clients replace") {
		t.Errorf("half of what it uses: %v", err)
	}
	for _, limit := range []int64{16 * used, 8 * used} {
		if err := groups.Limit("one", Limits{Max: limit}); err != nil {
			t.Errorf("%d bytes: %v", limit, err)
		}
	}
}

// These are files as version 2 has them: what a limit is set to beside what is used, in numbers that no process has for certain.
func TestWhatVersion2IsToldOfARunningGroup(t *testing.T) {
	for name, c := range map[string]struct {
		has, used string
		max       int64
		want      string
		isRefused bool
	}{
		"less than it uses":            {"max", "100000000", 50_000_000, "max", true},
		"hardly more than it uses":     {"200000000", "100000000", 110_000_000, "200000000", true},
		"enough":                       {"max", "100000000", 112_500_000, "112500000", false},
		"more than the little it has":  {"101000000", "100000000", 102_000_000, "102000000", false},
		"no limit any more":            {"101000000", "100000000", 0, "max", false},
		"the one that it has":          {"101000000", "100000000", 101_000_000, "101000000", false},
		"less than the little, again":  {"101000000", "100000000", 100_500_000, "101000000", true},
		"of one that uses next to nil": {"max", "4096", 50_000_000, "50000000", false},
	} {
		t.Run(name, func(t *testing.T) {
			groups := &Tree{name: "test", own: []hierarchy{{v2: true, base: t.TempDir()}}}
			dir := filepath.Join(groups.path(groups.own[0]), "one")
			err := os.MkdirAll(dir, 0o755)
			for file, text := range map[string]string{"memory.max": c.has, "memory.high": "max", "memory.current": c.used} {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := groups.Limit("one", Limits{Max: c.max}); errors.Is(err, ErrNoLimit) != c.isRefused {
				t.Errorf("got %v", err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "memory.max"))
			if got, _, _ := strings.Cut(string(text), "\n"); err != nil || !strings.HasPrefix(got, c.want) {
				t.Errorf("memory.max is %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

// This machine's version 2 may have no controller memory, as where version 1 has it.
func TestALimitThatTheKernelDoesNotHaveIsAnError(t *testing.T) {
	all := own(t)
	i := slices.IndexFunc(all, func(h hierarchy) bool { return h.v2 })
	if i < 0 {
		t.Fatalf("this machine has no version 2: %+v", all)
	}
	groups := tree(t, all[i])
	defer groups.Remove()
	if err := groups.Make(); err != nil {
		t.Fatal(err)
	}
	pid, end := sleeper(t)
	defer end()
	err := groups.Add("one", Limits{Max: 64 << 20}, pid)
	_, noMemory := os.Stat(filepath.Join(groups.path(groups.own[0]), "one", "memory.max"))
	if (err == nil) != (noMemory == nil) || err != nil && !errors.Is(err, ErrNoLimit) {
		t.Errorf("got %v, and %v", err, noMemory)
	}
	if pids, err := groups.Processes(); err != nil || !slices.Equal(pids, []int{pid}) {
		t.Errorf("in the group are %v, %v", pids, err)
	}
}
