// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package apart

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// command runs one of the mounter's commands.
func (n *node) command(args ...string) string {
	n.t.Helper()
	args = append(append([]string{"clients"}, args...), "--mounter", "unix://"+n.path("mounter.sock"))
	output, err := exec.CommandContext(n.t.Context(), binary(n.t), args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%v: %v: %s", args, err, output)
	}
	return string(output)
}

// listed are the clients, as the command says.
func (n *node) listed() (all []answers.Client) {
	n.t.Helper()
	if err := json.Unmarshal([]byte(n.command("-o", "json")), &all); err != nil {
		n.t.Fatal(err)
	}
	return all
}

// A client goes on with its version when the mounter is updated, and has the mounter's when an administrator wants it, without an error.
func TestAClientIsReplacedByOneOfTheMountersVersion(t *testing.T) {
	n := newNode(t)
	first := n.startMounter("first", newImage(t, "10.3-1"))
	p := n.publish("volume")
	if all := n.listed(); len(all) != 1 || all[0].Outdated || !strings.HasPrefix(all[0].Program, "10.3-1-") {
		t.Errorf("it is %+v", all)
	}
	first.kill()
	n.startMounter("second", newImage(t, "10.3-2"))
	all := n.listed()
	if len(all) != 1 || !all[0].Outdated || !strings.HasPrefix(all[0].Program, "10.3-1-") || all[0].PID != p.pid || all[0].Memory < 1<<20 {
		t.Fatalf("after the update it is %+v", all)
	}
	if table := n.command(); !strings.Contains(table, all[0].Program+" (outdated)") || !strings.Contains(table, all[0].Group) {
		t.Errorf("the table is\n%s", table)
	}
	n.command("replace", "--outdated")
	p.isUndisturbed()
	now := n.listed()
	if len(now) != 1 || now[0].Outdated || !strings.HasPrefix(now[0].Program, "10.3-2-") || now[0].PID == p.pid {
		t.Fatalf("in its place is %+v", now)
	}
	n.eventually(func() error { // the repair has moved what was mounted
		if p.device(t) != n.clients()[now[0].PID].Device {
			return fmt.Errorf("in the container is %v", p.device(t))
		}
		return nil
	})
	p.isUndisturbed()
	if gone(p.pid) == nil {
		t.Error("the old client has ended, with a file that is open")
	}
	other := n.publish("other")
	if other.pid != now[0].PID {
		t.Errorf("a new volume is from process %d", other.pid)
	}
	if output, err := exec.CommandContext(t.Context(), binary(t), "clients", "replace", strconv.Itoa(p.pid), "--mounter", "unix://"+n.path("mounter.sock")).CombinedOutput(); err == nil {
		t.Errorf("the one that was replaced is replaced again: %s", output)
	}
	p.do("stop")
	n.eventually(func() error {
		if gone(p.pid) == nil {
			return nil
		}
		p.Stop() // its mount namespace has the old client's own mount, too
		return gone(p.pid)
	})
	other.isUndisturbed()
}

// A client that was replaced, and that nobody uses any more, is not left behind when the driver is removed before the repair has forgotten it.
func TestAReplacedClientIsNotLeftBehind(t *testing.T) {
	n := newNode(t)
	c := n.startMounter("mounter", newImage(t, "10.3-1"))
	p, now := n.publishReplaced(func() {})
	p.do("stop")
	p.Stop()
	p.unpublish()
	n.host.Close()
	c.stop()
	for _, pid := range []int{p.pid, now} {
		n.eventually(func() error { return gone(pid) })
	}
	n.isClean()
}

// Where the node plugin goes on, the mounter waits for it in vain at its end, and has time for clients that were replaced all the same.
func TestAReplacedClientIsNotLeftBehindByAMounterThatHasWaited(t *testing.T) {
	n := newNode(t)
	i := newImage(t, "10.3-1")
	c := n.startMounter("mounter", i)
	p, now := n.publishReplaced(func() {})
	p.do("stop")
	p.Stop()
	p.unpublish()
	n.host.Close() // which has the old client's mount open
	users, err := statedir.Slot(n.path("state/clients/pi/gv0/default")).TryJoinUsers()
	if err != nil {
		t.Fatal(err)
	}
	c.stop()
	n.eventually(func() error { return gone(p.pid) })
	if groups := n.groups(); len(groups) != 1 {
		t.Errorf("left are %v", groups)
	}
	users.Close()
	n.startMounter("second", i).stop()
	n.eventually(func() error { return gone(now) })
	n.isClean()
}

// What only another mount namespace shows of a client that was replaced would be dead and forgotten when that ends. So it is kept for the next mounter.
func TestAReplacedClientThatAnotherNamespaceShowsIsKept(t *testing.T) {
	n := newNode(t)
	i := newImage(t, "10.3-1")
	c := n.startMounter("mounter", i)
	var rootless *exec.Cmd
	p, now := n.publishReplaced(func() { rootless = startRootless(t) })
	p.do("stop")
	p.Stop()
	p.unpublish()
	n.host.Close()
	c.stop()
	n.eventually(func() error { return gone(now) })
	if kept, err := filepath.Glob(n.path("state/clients/pi/gv0/default/dead-*/mnt")); err != nil || len(kept) != 1 || gone(p.pid) == nil {
		t.Errorf("kept is %v, %v; the client: %v", kept, err, gone(p.pid))
	}
	second := n.startMounter("second", i)
	_ = rootless.Process.Kill()
	_ = rootless.Wait() // killed
	n.eventually(func() error {
		if kept, err := filepath.Glob(n.path("state/clients/pi/gv0/default/dead-*")); err != nil || len(kept) > 0 {
			return fmt.Errorf("still kept: %v, %w", kept, err)
		}
		return nil
	})
	second.stop()
	n.eventually(func() error { return gone(p.pid) })
	n.isClean()
}

// publishReplaced has a pod with a volume, moved to another client. Between, something may be done.
func (n *node) publishReplaced(between func()) (p *pod, now int) {
	n.t.Helper()
	p = n.publish("volume")
	between()
	n.command("replace", strconv.Itoa(p.pid))
	all := n.listed()
	if len(all) != 1 || all[0].PID == p.pid {
		n.t.Fatalf("in its place is %+v", all)
	}
	n.eventually(func() error {
		if p.device(n.t) != n.clients()[all[0].PID].Device {
			return fmt.Errorf("in the container is %v", p.device(n.t))
		}
		return nil
	})
	p.isUndisturbed()
	return p, all[0].PID
}

// groups are the control groups of clients: the files that list their processes.
func (n *node) groups() []string {
	n.t.Helper()
	dir, _ := n.pods.memory(n.t)
	all, err := filepath.Glob(filepath.Join(dir, testGroup, "glusterfs-csi/*/*/cgroup.procs"))
	if err != nil {
		n.t.Fatal(err)
	}
	return all
}

// startRootless starts a process with user and mount namespaces of its own, in which what is mounted is what was when it began.
func startRootless(t *testing.T) *exec.Cmd {
	t.Helper()
	process := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 600")
	output, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err == nil {
		_, err = output.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait() // killed
	})
	return process
}
