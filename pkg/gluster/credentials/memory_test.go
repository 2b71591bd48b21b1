// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package credentials

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// A process has what it was given, then what it was renewed with; no mount and no path tells of it, and no one else may look.
func TestAProcessHasItsOwnCredentials(t *testing.T) {
	ca := testcluster.NewCA(t, "CA")
	first, next := ca.Issue(t, "node", time.Now().Add(time.Hour)), ca.Issue(t, "node", time.Now().Add(time.Hour))
	given := read(t, write(t, first, ca.PEM))
	dir, err := given.Directory()
	if err != nil {
		t.Fatal(err)
	}
	has, hasNot := sleeper(t, dir), sleeper(t)
	if err := dir.Close(); err != nil {
		t.Fatal(err)
	}
	checkHas := func(want testcluster.Certificate) {
		t.Helper()
		for name, content := range map[string][]byte{CertificateFile: want.PEM, KeyFile: want.Key, CAFile: ca.PEM} {
			found, err := os.ReadFile(fmt.Sprintf("/proc/%d/fd/%d/%s", has, Descriptor, name))
			if err != nil || !bytes.Equal(found, content) {
				t.Errorf("%s: %v; it is the one that is wanted: %t", name, err, bytes.Equal(found, content))
			}
		}
	}
	checkHas(first)
	renewed := read(t, write(t, next, ca.PEM))
	runs, hasEnded := func() bool { return true }, func() bool { return false }
	if changed, err := renewed.Renew(has, hasEnded); changed || err != nil {
		t.Errorf("for another process of the same number, Renew says %t, %v", changed, err)
	}
	checkHas(first)
	for _, step := range []struct {
		set     *Set
		pid     int
		changed bool
	}{{given, has, false}, {renewed, hasNot, false}, {renewed, has, true}, {renewed, has, false}} {
		if changed, err := step.set.Renew(step.pid, runs); changed != step.changed || err != nil {
			t.Errorf("Renew says %t, %v; want %t", changed, err, step.changed)
		}
	}
	checkHas(next)
	var info unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/fd/%d/.", has, Descriptor), &info); err != nil || info.Mode&0o777 != 0o700 || info.Uid != 0 {
		t.Errorf("the directory has mode %o and owner %d, %v", info.Mode, info.Uid, err)
	}
}

// sleeper is a process that inherits these files after the first three.
func sleeper(t *testing.T, inherits ...*os.File) (pid int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "infinity")
	cmd.ExtraFiles = inherits
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

func TestWithoutTheLinksItIsSaidWhatIsMissing(t *testing.T) {
	err := CheckLinks() // this machine is not the image
	if err == nil || !strings.Contains(err.Error(), filepath.Join(FixedDirectory, "glusterfs.")) || !strings.Contains(err.Error(), "/proc/self/fd/3/") {
		t.Errorf("got %v", err)
	}
}
