// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
)

// isAlone is set in the environment of a test that alone has, from its process's beginning.
const isAlone = "GLUSTERFS_CSI_TEST_ALONE"

// alone runs the test again in a process with a mount namespace of its own, and says whether this is that process.
// What it mounts is in no namespace that some other process of this machine makes meanwhile, and keeps.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(isAlone) != "" {
		return true
	}
	process := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
	process.Env = append(os.Environ(), isAlone+"=1")
	process.SysProcAttr = container.Attributes()
	output, err := process.CombinedOutput()
	if err != nil {
		t.Errorf("in a process of its own: %s\n%s", err, output)
	}
	return false
}

// keeper is a process in a mount namespace of its own, with all that was mounted when it began and nothing that came or went since.
func keeper(t *testing.T) (end func()) {
	t.Helper()
	process := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; read line")
	input, err := process.StdinPipe()
	must(t, "pipe", err)
	output, err := process.StdoutPipe()
	must(t, "pipe", err)
	must(t, "start a shell in a mount namespace", process.Start())
	_, err = output.Read(make([]byte, 1))
	must(t, "wait for it", err)
	end = func() { _ = input.Close(); _ = process.Wait() }
	t.Cleanup(end)
	return end
}

func TestADeviceIsShownInWhateverNamespace(t *testing.T) {
	if !alone(t) {
		return
	}
	own, bound := t.TempDir(), t.TempDir()
	must(t, "mount", unix.Mount("shown-test", own, "tmpfs", 0, "size=4k"))
	t.Cleanup(func() { must(t, "detach", Detach(own)) })
	at, err := At(own)
	if err != nil || len(at) != 1 {
		t.Fatal(at, err)
	}
	check := func(when string, want bool) {
		t.Helper()
		if is, err := isShown(t, at[0].Device, own, own+"-spare"); is != want || err != nil {
			t.Errorf("%s: %t, %v", when, is, err)
		}
	}
	check("nowhere else", false)
	endFirst := keeper(t)
	check("in another namespace at the same place", false)
	endFirst()
	must(t, "bind", unix.Mount(own, bound, "", unix.MS_BIND, ""))
	check("at another place", true)
	end := keeper(t)
	must(t, "detach", Detach(bound))
	check("at another place in another namespace", true)
	end()
	check("when that has ended", false)
	if is, err := isShown(t, at[0].Device); !is || err != nil {
		t.Error(fmt.Sprint("its own place is one, too: ", is, err))
	}
}

func TestAVisitorThatHasEndedIsNowhere(t *testing.T) {
	inside := func() (all []string) {
		tasks, err := filepath.Glob("/proc/self/task/*/ns/mnt")
		must(t, "list the threads", err)
		for _, task := range tasks {
			if name, err := os.Readlink(task); err == nil && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
		return all
	}
	here := inside()
	keeper(t)
	for range 20 {
		_, err := isShown(t, Device{})
		must(t, "look", err)
		if now := inside(); len(now) > len(here) {
			t.Fatalf("threads of this process are in %v, and were in %v", now, here)
		}
	}
}
