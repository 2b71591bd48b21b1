// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// Under qemu-user, where the tests run as arm64, a process cannot run itself again.

package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func init() { child = crash }

// crashJob is the environment variable by which this binary, run again, is told to do
// one operation and to kill itself on the way.
const crashJob = "GLUSTERFS_CSI_TEST_CRASH"

type job struct {
	Mountpoint string `json:"mountpoint"`
	Operation  string `json:"operation"`
	Point      int    `json:"point"` // kill at the n-th point passed, counted from 0
	OtherFirst bool   `json:"otherFirst"`
	Privileged string `json:"privileged"`
}

// crash does the job, if there is one, and dies of SIGKILL, or exits with 3 if the operation
// ended first.
func crash() {
	text := os.Getenv(crashJob)
	if text == "" {
		return
	}
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		panic(err)
	}
	s, _, err := volumes.OpenStore(j.Mountpoint)
	if err != nil {
		panic(err)
	}
	s.Privileged = rootAt(j.Privileged)
	oneByOne(volumes.Reconciled(s), j.OtherFirst)
	var passed atomic.Int64
	s.Step = func(string) {
		if passed.Add(1) == int64(j.Point)+1 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := operations[j.Operation].do(s); err != nil {
		panic(err)
	}
	os.Exit(3)
}

// points returns the names of the points that an operation passes, by doing it once.
func points(t *testing.T, mountpoint, operation string, otherFirst bool) []string {
	t.Helper()
	s := privilegedStore(t, mountpoint)
	oneByOne(s, otherFirst)
	if err := operations[operation].prepare(s); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // the reaper passes its points in several goroutines
	var passed []string
	s.Step = func(point string) {
		mu.Lock()
		defer mu.Unlock()
		passed = append(passed, point)
	}
	if err := operations[operation].do(s); err != nil {
		t.Fatal(err)
	}
	clean(t, mountpoint)
	return passed
}

// The ways to go on after a kill, and what is then on the Gluster volume.
func TestKilledAtEveryPoint(t *testing.T) {
	ready := []string{"directory team", "directory team/app", "ready vol"}
	trashed := []string{"trash vol"}
	given := []string{"directory team", "directory team/app", "directory team/app/vol"}
	beforeTaken := []string{"names: directory seen", "delete: parents removed", "delete: path given up"}
	create := []string{
		"create: record made", "create: claimed", "claim: link made", "claim: name linked", "create: parent made", "create: path claimed",
		"create: directory there", "create: directory made", "create: owner set", "create: mode set", "create: record complete", "on disk",
	}
	tests := []struct {
		operation string
		passes    []string // every named point
		want      map[string][]string
	}{
		{"create", create, map[string][]string{"repeat": ready, "delete": nil, "reconcile": nil}},
		{
			"clone", []string{
				"create: record made", "create: claimed", "claim: link made", "claim: name linked", "create: parent made", "create: path claimed",
				"create: owner set", "create: record complete", "names: directory seen", "create: copy moved into its place",
				"copy: to be given up", "copy: claim moved aside", "copy: directory moved aside", "on disk",
			},
			map[string][]string{"repeat": ready, "delete": nil, "reconcile": nil},
		},
		{"create retained", create, map[string][]string{"repeat": ready}},
		{
			"take back", []string{
				"undo: claim renamed", "undo: directory found", "undo: directory moved aside",
				"undo: directory removed", "path: claim goes", "path: claim moved aside", "undo: parents removed", "undo: path given up",
				"on disk", "names: directory seen",
			},
			map[string][]string{"repeat": nil, "reconcile": nil, "create": ready},
		},
		{
			"delete", []string{
				"delete: record moved", "delete: directory found", "delete: data moved", "path: claim goes", "path: claim moved aside",
				"delete: parents removed", "delete: path given up", "on disk", "names: directory seen",
			},
			map[string][]string{"repeat": trashed, "reconcile": trashed, "reap": nil, "restore": ready, "create": {"directory team", "directory team/app", "ready vol", "trash vol"}},
		},
		{
			"delete retained", []string{
				"delete: record removed", "path: claim goes", "path: claim moved aside", "delete: path given up", "on disk",
			},
			map[string][]string{"repeat": {"directory team", "directory team/app", "directory team/app/vol"}},
		},
		{
			"reap", []string{
				"delete: parents removed", "delete: path given up", "reap: entry doomed", "on disk",
				"reap: one file removed", "reap: data removed", "reap: record removed", "names: directory seen",
			},
			map[string][]string{"repeat": nil},
		},
		{
			"restore", []string{
				"delete: parents removed", "delete: path given up", "restore: entry taken", "claim: link made", "claim: name linked",
				"create: parent made", "restore: path claimed", "restore: data moved back", "restore: record made",
				"restore: ready", "restore: trash entry removed", "on disk", "names: directory seen",
			},
			map[string][]string{"repeat": ready, "reconcile": ready},
		},
		{
			"give way", []string{
				"delete: parents removed", "delete: path given up", "restore: entry taken", "claim: link made", "claim: name linked",
				"create: parent made", "restore: path claimed", "restore: data moved back", "restore: given up",
				"delete: directory found", "delete: data moved", "path: claim goes", "path: claim moved aside", "names: directory seen",
			},
			map[string][]string{"repeat": {"ready vol", "trash vol"}},
		},
		{"create enforced", append(slices.Clone(create), "limit set"), map[string][]string{"repeat": ready}},
		{
			"expand enforced", []string{
				"change: attributes read", "claim: link made", "claim: name linked", "change: new attributes made", "limit set", "on disk",
				"change: earlier ones removed",
			},
			map[string][]string{"repeat": ready, "settle limits": ready},
		},
		{
			"modify", []string{
				"change: attributes read", "claim: link made", "claim: name linked", "change: new attributes made", "change: owner applied", "on disk",
				"change: earlier ones removed",
			},
			map[string][]string{"repeat": ready},
		},
		{
			"take over", []string{
				"change: attributes read", "claim: link made", "claim: name linked", "change: new attributes made", "on disk", "change: earlier ones removed",
			},
			map[string][]string{"repeat": ready, "delete": nil},
		},
		{
			"take over entry", []string{
				"change: attributes read", "claim: link made", "claim: name linked", "change: new attributes made", "on disk", "change: earlier ones removed",
			},
			map[string][]string{"repeat": trashed, "reap": nil, "restore": ready},
		},
		{
			"give back", []string{
				"delete: limit lifted", "delete: record removed", "path: claim goes", "path: claim moved aside", "delete: path given up",
				"on disk",
			},
			map[string][]string{"repeat": {"directory team", "directory team/app", "directory team/app/vol"}},
		},
		{
			"adopt", []string{
				"create: record made", "create: claimed", "claim: link made", "claim: name linked", "create: record complete",
				"create: path claimed", "on disk",
				"names: directory seen",
			},
			map[string][]string{"repeat": ready, "delete": given},
		},
		{
			"release", []string{
				"path: claim goes", "path: claim moved aside", "delete: path given up", "delete: record removed", "on disk",
			},
			map[string][]string{"repeat": given, "delete": given},
		},
		{
			"expand", []string{
				"change: attributes read", "claim: link made", "claim: name linked", "change: new attributes made", "on disk", "change: earlier ones removed",
			},
			map[string][]string{"repeat": ready, "reconcile": ready, "delete": nil},
		},
	}
	for _, test := range tests {
		t.Run(test.operation, func(t *testing.T) {
			_, mountpoint := volumes.OnGV0(t)
			// What is made below a directory with setgid has it, too.
			if err := os.Chmod(mountpoint, 0o755|os.ModeSetgid); err != nil {
				t.Fatal(err)
			}
			killed := map[string]bool{} // by what had been passed: what is done beside each other may be done in either order
			for _, otherFirst := range []bool{false, true} {
				passed := points(t, mountpoint, test.operation, otherFirst)
				unique := slices.Compact(slices.Sorted(slices.Values(passed)))
				if want := slices.Sorted(slices.Values(test.passes)); !slices.Equal(unique, want) {
					t.Fatalf("passes %q, want %q", unique, want)
				}
				for n, point := range passed {
					until := fmt.Sprintf("%q", slices.Sorted(slices.Values(passed[:n+1])))
					if killed[until] {
						continue
					}
					killed[until] = true
					for next, want := range test.want {
						t.Run(fmt.Sprintf("%d %s, then %s", n, point, next), func(t *testing.T) {
							switch {
							case test.operation == "delete" && point == "names: directory seen" && next != "repeat":
								want = ready // nothing has begun
							case test.operation == "restore" && next == "reconcile" && slices.Contains(beforeTaken, point):
								want = trashed // what comes before the entry is taken is the rest of its deletion
							}
							killAndGoOn(t, mountpoint, job{mountpoint, test.operation, n, otherFirst, privilegedPath(t, mountpoint)}, next, want)
						})
					}
				}
			}
		})
	}
}
