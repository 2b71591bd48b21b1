// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// helper is a driver that will be killed: it ensures a client of gv0, prints the mount point, and waits.
func helper(arguments string) {
	stateDir, clusters, _ := strings.Cut(arguments, ",")
	ctx := context.Background()
	h, err := NewHost(stateDir, gluster.WatchClusters(ctx, clusters, nil))
	if err == nil {
		var c *Client
		if c, err = h.Ensure(ctx, gv0, nil); err == nil {
			_, _ = fmt.Fprintln(os.Stdout, c.Mountpoint())
			select {}
		}
	}
	_, _ = fmt.Fprintln(os.Stdout, "error:", err)
	os.Exit(1)
}

// startHelper runs a helper, in new namespaces if there are flags. Its lines are what it prints.
func startHelper(t *testing.T, stateDir, clusters string, unshare ...uintptr) (cmd *exec.Cmd, lines *bufio.Scanner) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"="+stateDir+","+clusters)
	for _, flag := range unshare {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flag}
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(output)
}

func killHelper(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	kill(t, cmd.Process.Pid)
	_ = cmd.Wait() // it was killed
}

func TestClientsOfAKilledDriverAreAdopted(t *testing.T) {
	dir, path := t.TempDir(), clustersPath(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	clusters := gluster.WatchClusters(t.Context(), path, nil)
	cmd, lines := startHelper(t, dir, path)
	if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
		t.Fatalf("the helper failed: %s", lines.Text())
	}
	mountpoint := lines.Text()
	killHelper(t, cmd)

	h := hostIn(t, dir, clusters)
	infos := h.Clients()
	if len(infos) != 1 || !infos[0].Adopted || infos[0].Mountpoint != mountpoint {
		t.Fatalf("Clients() = %+v, want the one at %s", infos, mountpoint)
	}
	c := ensure(t, h, gv0)
	checkWorks(t, c)
	if c.Mountpoint() != mountpoint || processCount(t, h) != 1 {
		t.Error("another client was started")
	}

	kill(t, infos[0].PID)
	<-c.process.Exited() // seen although it is no child of this process
	replaced := ensure(t, h, gv0)
	checkWorks(t, replaced)
	if replaced == c || mountCount(t, h) != mountsOfOne {
		t.Error("the adopted client was not replaced")
	}
}

func TestAClientThatDiedTogetherWithItsDriverIsClearedAway(t *testing.T) {
	dir, path := t.TempDir(), clustersPath(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	clusters := gluster.WatchClusters(t.Context(), path, nil)
	cmd, lines := startHelper(t, dir, path)
	if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
		t.Fatalf("the helper failed: %s", lines.Text())
	}
	processes, err := process.Find()
	if err != nil {
		t.Fatal(err)
	}
	killHelper(t, cmd)
	kill(t, processes[lines.Text()])
	testcluster.Eventually(t, patience, func() error {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/exe", processes[lines.Text()])); err == nil {
			return fmt.Errorf("process %d still runs", processes[lines.Text()])
		}
		return nil
	})
	h := hostIn(t, dir, clusters)
	if infos := h.Clients(); infos != nil {
		t.Errorf("Clients() = %+v", infos)
	}
	checkNothingLeft(t, h)
}

// After a reboot the number of what was a client's process may be that of a thread, which nobody can watch.
func TestAThreadIsNoClient(t *testing.T) {
	dir, clusters := t.TempDir(), clustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	stop := make(chan struct{})
	defer close(stop)
	threads := make(chan int)
	tid := os.Getpid()
	for tid == os.Getpid() { // twice at most: the first thread is taken then
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			threads <- unix.Gettid()
			<-stop
		}()
		tid = <-threads
	}
	start := statedir.Start(filepath.Join(dir, "clients", gv0.Cluster, gv0.Name, "default", "start-x"))
	if err := errors.Join(os.MkdirAll(start.Mountpoint(), 0o700), start.MarkReady(tid)); err != nil {
		t.Fatal(err)
	}
	h := hostIn(t, dir, clusters)
	checkWorks(t, ensure(t, h, gv0))
	if _, err := os.Lstat(string(start)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what it left is still there: %v", err)
	}
}

func TestAHalfStartedClientOfAKilledDriverIsEnded(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	silent := testcluster.SilentServer(t, c.Neighbour(210))
	dir, path := t.TempDir(), clustersPath(t, []string{silent}, "gv0")
	cmd, _ := startHelper(t, dir, path)
	var mountpoint string
	testcluster.Eventually(t, patience, func() error {
		processes, err := process.Find()
		if err != nil {
			return err
		}
		for mountpoint = range processes {
			if strings.HasPrefix(mountpoint, dir+"/") {
				return nil
			}
		}
		return fmt.Errorf("no client among %v", processes)
	})
	killHelper(t, cmd)

	// The servers are well again.
	good := clustersFile(t, c.Servers(), "gv0")
	h := hostIn(t, dir, good)
	if infos := h.Clients(); infos != nil {
		t.Errorf("it was adopted: %+v", infos)
	}
	checkWorks(t, ensure(t, h, gv0))
	if n := processCount(t, h); n != 1 {
		t.Errorf("%d processes run", n)
	}
	if _, err := os.Lstat(filepath.Dir(mountpoint)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory is still there: %v", err)
	}
}
