// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	images "github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/programs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// client is a process that calls itself as a client does, with what is in the state directory of one that has been ready. It may begin as this command,
// with the mount point as its last argument.
func client(t *testing.T, root statedir.Root, command ...string) (pid int) {
	t.Helper()
	v := gluster.Volume{Cluster: "pi", Name: "gv0"}
	slot := root.Slot(v, nil)
	start := statedir.Start(filepath.Join(string(slot), "start-1"))
	process := exec.CommandContext(t.Context(), "cat")
	process.Args = []string{"glusterfs", "-", start.Mountpoint()}
	if len(command) > 0 {
		process = exec.CommandContext(t.Context(), command[0], append(command[1:], start.Mountpoint())...)
	}
	_, err := process.StdinPipe() // which it reads until the test ends
	if err := errors.Join(err, os.MkdirAll(start.Mountpoint(), 0o700), slot.Describe(v, nil), process.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait() // killed
	})
	if err := start.MarkReady(process.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return process.Process.Pid
}

func TestAClientThatEndsWithAPodIsNamed(t *testing.T) {
	h := Host{StateDir: t.TempDir(), KubeletDir: "/var/lib/kubelet"}
	root, err := statedir.Open(h.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	if all := h.apart(); len(all) > 0 {
		t.Errorf("without clients: %+v", all)
	}
	pid := client(t, root)
	if all := h.apart(); len(of(all, "clients", answers.OK)) != 1 || len(all) != 1 {
		t.Errorf("of one in no pod: %+v", all)
	}
	const pod = "7b1f0c1a-22b4-4f0e-9d6a-0123456789ac"
	programs.InControlGroup(t, "kubepods/burstable/pod"+pod+"/c", pid)
	finds(t, h.apart(), "clients", answers.Warning, "process", "pod "+pod)
	h.KubeletDir = ""
	if all := h.apart(); len(all) > 0 {
		t.Errorf("the controller's client, which is to end with its pod: %+v", all)
	}
}

func TestAClientThatRunsAContainersProgramsIsNamed(t *testing.T) {
	h := Host{StateDir: t.TempDir(), KubeletDir: "/var/lib/kubelet"}
	root, err := statedir.Open(h.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	client(t, root, "unshare", "--mount", "bash", "-c", `mount -t tmpfs image /usr/share && mkdir /usr/share/glusterfs-csi && touch `+images.List+
		` && exec -a glusterfs cat - "$0"`)
	testcluster.Eventually(t, time.Minute, func() error {
		if all := h.apart(); len(all) != 1 {
			return fmt.Errorf("found: %+v", all)
		}
		return nil
	})
	finds(t, h.apart(), "clients", answers.Warning, "process", "programs of its container's image")
}
