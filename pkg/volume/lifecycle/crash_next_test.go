// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

package lifecycle_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func killAndGoOn(t *testing.T, mountpoint string, j job, next string, want []string) {
	s := privilegedStore(t, mountpoint)
	if err := operations[j.Operation].prepare(s); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), "/proc/self/exe")
	child.Env = append(os.Environ(), crashJob+"="+string(text))
	output, _ := child.CombinedOutput()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child was not killed: %v\n%s", child.ProcessState, output)
	}

	s = privilegedStore(t, mountpoint) // what a restarted driver has
	s.Recent, s.Abandoned = 0, 0
	switch next {
	case "repeat":
		err = operations[j.Operation].do(s)
	case "delete":
		err = s.Delete(volumes.Background, "vol")
		if err == nil {
			_, err = s.Trash.Reap(volumes.Background, 0)
		}
	case "create":
		// The first may find what is left and only clear it away.
		if _, err = s.Create(crashSpec); errors.Is(err, volume.ErrBusy) {
			_, err = s.Create(crashSpec)
		}
	case "reap":
		_, err = s.Trash.Reap(volumes.Background, 0)
	case "restore":
		err = volumes.RestoreOnly(s)
	case "reconcile":
		err = s.Reconcile(volumes.Background, volumes.Unlocked)
	case "settle limits":
		_, err = s.SettleLimits(volumes.Background, volumes.Unlocked)
	}
	if err != nil {
		t.Errorf("%s: %v", next, err)
	}
	// The kill may have left claims that nothing refers to; Reconcile is what removes them.
	if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
		t.Error(err)
	}
	if _, err := copying.Reap(volumes.Background, s.Store); err != nil {
		t.Error(err)
	}
	got := volumes.Audit(t, mountpoint)
	if left := volumes.FirstNames(t, mountpoint); len(left) > 0 {
		t.Errorf("left of claims is %q", left)
	}
	// Creations that were complete when the kill came are not taken back.
	if next == "reconcile" && want == nil && slices.Contains(got, "ready vol") {
		want = []string{"directory team", "directory team/app", "ready vol"}
	}
	volumes.Same(t, got, want...)
	if r, err := s.Get("vol"); err == nil && r.Path == crashSpec.Path {
		want := map[bool]string{true: "1001:7 2770", false: "1001:0 2770"}[j.Operation == "modify"]
		if got := volumes.OwnerOf(t, filepath.Join(mountpoint, crashSpec.Path)); got != want {
			t.Errorf("the owner is %s", got)
		}
		if strings.HasPrefix(j.Operation, "expand") && next == "repeat" && r.Capacity != 3 {
			t.Errorf("the capacity is %d", r.Capacity)
		}
		if strings.HasPrefix(j.Operation, "take over") && next == "repeat" && r.Kubernetes != "test" {
			t.Errorf("it is of %q", r.Kubernetes)
		}
		if data, err := os.ReadFile(filepath.Join(mountpoint, crashSpec.Path, "data")); j.Operation == "clone" && (err != nil || string(data) != "dear") {
			t.Errorf("what was copied is %q, %v", data, err)
		}
		if got := limitAt(t, s, crashSpec.Path); r.Enforced && got != r.Capacity || !r.Enforced && got != 0 {
			t.Errorf("the limit is %d bytes, the capacity %d", got, r.Capacity)
		}
	} else if j.Operation == "give back" && limitAt(t, s, crashSpec.Path) != 0 {
		t.Error("what was given back has a limit")
	}
	clean(t, mountpoint)
}

// clean empties the Gluster volume for the next kill.
func clean(t *testing.T, mountpoint string) {
	t.Helper()
	s := privilegedStore(t, mountpoint)
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Error(err)
	}
	if _, err := s.Trash.Reap(volumes.Background, -time.Hour); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(mountpoint, "team")); err != nil {
		t.Error(err)
	}
	s.Abandoned = 0
	if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
		t.Error(err)
	}
	_, err := copying.Reap(volumes.Background, s.Store)
	volumes.Must(t, err)
	volumes.Same(t, volumes.Audit(t, mountpoint))
}
