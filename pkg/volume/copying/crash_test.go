// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// Under qemu-user, where the tests run as arm64, a process cannot run itself again.

package copying_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func init() { child = crash }

// crashJob is the environment variable by which this binary, run again, is told to do one operation and to kill itself
// on the way.
const crashJob = "GLUSTERFS_CSI_TEST_CRASH"

type job struct {
	Mountpoint string `json:"mountpoint"`
	Operation  string `json:"operation"`
	Point      int    `json:"point"` // kill at the n-th point passed, counted from 0
}

// operations are what is killed; each may be repeated.
var operations = map[string]func(c *copying.Copies, mountpoint string) error{
	"copy": func(c *copying.Copies, mountpoint string) error {
		st, err := c.Claim(wanted())
		if err != nil {
			return err
		}
		from, err := safepath.OpenRoot(filepath.Join(mountpoint, "source"))
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = c.Run(volumes.Background, st, from, copying.Options{})
		return err
	},
	"give up": func(c *copying.Copies, _ string) error {
		st, err := c.Find("snap")
		if errors.Is(err, volume.ErrNotFound) {
			return nil
		}
		if err == nil {
			err = c.GiveUp(st)
		}
		return err
	},
	"reap": func(c *copying.Copies, _ string) error {
		_, err := copying.Reap(volumes.Background, c.Store)
		return err
	},
}

// crash does the job, if there is one, and dies of SIGKILL, or exits with 3 if the operation ended first.
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
	var passed atomic.Int64
	s.Step = func(string) {
		if passed.Add(1) == int64(j.Point)+1 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := operations[j.Operation](impatient(s.Store), j.Mountpoint); err != nil {
		panic(err)
	}
	os.Exit(3)
}

func killed(t *testing.T, j job) {
	t.Helper()
	text, err := json.Marshal(j)
	volumes.Must(t, err)
	process := exec.CommandContext(t.Context(), "/proc/self/exe")
	process.Env = append(os.Environ(), crashJob+"="+string(text))
	output, _ := process.CombinedOutput()
	if status, ok := process.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child was not killed: %v\n%s", process.ProcessState, output)
	}
}

// What is on the Gluster volume after a kill at each point, and after what comes next.
func TestKilledAtEveryPoint(t *testing.T) {
	complete := "complete in snapshots: snap"
	tests := []struct {
		operation string
		before    []string // operations
		passes    []string
		want      map[string]string // by what comes next; "" for nothing
	}{
		{
			"copy", nil,
			[]string{"claim: link made", "claim: name linked", "copy: claimed", "copy: complete", "copy: directory made", "copy: lease taken", "copy: tree copied", "on disk"},
			map[string]string{"repeat": complete, "give up": ""},
		},
		{
			"give up",
			[]string{"copy"},
			[]string{"copy: claim moved aside", "copy: directory moved aside", "copy: to be given up", "on disk"},
			map[string]string{"repeat": "", "copy": complete, "reconcile": ""},
		},
		{
			"reap",
			[]string{"copy", "give up"},
			[]string{"copy: directory moved aside", "copy: directory removed", "names: directory seen", "on disk"},
			map[string]string{"repeat": "", "copy": complete},
		},
	}
	for _, test := range tests {
		t.Run(test.operation, func(t *testing.T) {
			var passed []string
			for next, want := range test.want {
				for n := 0; n == 0 || n < len(passed); n++ {
					s, mountpoint := volumes.OnGV0(t)
					source := makeSource(t, mountpoint)
					c := impatient(s.Store)
					for _, before := range test.before {
						volumes.Must(t, operations[before](c, mountpoint))
					}
					if passed == nil {
						passed = pointsOf(t, s.Store, func() error { return operations[test.operation](c, mountpoint) })
						if unique := slices.Compact(slices.Sorted(slices.Values(passed))); !slices.Equal(unique, test.passes) {
							t.Fatalf("passes %q, want %q", unique, test.passes)
						}
						n = -1
						continue
					}
					t.Run(fmt.Sprintf("%d %s, then %s", n, passed[n], next), func(t *testing.T) {
						killed(t, job{mountpoint, test.operation, n})
						goOn(t, mountpoint, source, test.operation, next, want)
					})
				}
			}
		})
	}
}

// pointsOf returns the names of the points that an operation passes, by doing it once.
func pointsOf(t *testing.T, s *store.Store, do func() error) (passed []string) {
	t.Helper()
	s.Step = func(point string) { passed = append(passed, point) }
	defer func() { s.Step = func(string) {} }()
	volumes.Must(t, do())
	return passed
}

func goOn(t *testing.T, mountpoint, source, operation, next, want string) {
	t.Helper()
	s := volumes.Open(t, mountpoint) // what a restarted driver has
	s.Recent, s.Abandoned = 0, 0
	c := impatient(s.Store)
	switch next {
	case "repeat":
		next = operation
	case "reconcile":
		if st, err := c.Find("snap"); err == nil { // nothing has begun
			volumes.Must(t, c.GiveUp(st))
		}
		next = "reap"
	}
	volumes.Must(t, operations[next](c, mountpoint), c.Settle(volumes.Background), s.SettleClaims())
	_, err := copying.Reap(volumes.Background, s.Store)
	volumes.Must(t, err)
	if left := volumes.FirstNames(t, mountpoint); len(left) > 0 {
		t.Errorf("left of claims is %q", left)
	}
	volumes.Must(t, os.Rename(source, source+".moved")) // the audit knows no such directory
	found := slices.DeleteFunc(volumes.Audit(t, mountpoint), func(s string) bool { return len(s) > 9 && s[:9] == "directory" })
	if want == "" {
		volumes.Same(t, found)
		return
	}
	volumes.Same(t, found, want)
	isCopy(t, c, mountpoint, source+".moved")
}
