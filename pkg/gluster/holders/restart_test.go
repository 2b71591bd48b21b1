// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package holders

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount/holders"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// restarted waits until so many containers were told to end, and returns who.
func (n *node) restarted(count int) (all []statedir.Restart) {
	n.t.Helper()
	testcluster.Eventually(n.t, clients.Patience, func() (err error) {
		if all, err = n.StateDir().Restarts(); len(all) != count {
			err = errors.Join(err, fmt.Errorf("%d restarts, want %d: %+v", len(all), count, all))
		}
		return err
	})
	return all
}

// again is a round of the process that comes next. After it all that would be done is done, but for what that process has to wait for.
func (n *node) again(change ...func(*Watcher)) {
	n.t.Helper()
	w := New(n.StateDir(), 0, nil)
	for _, c := range change {
		c(w)
	}
	must(n.t, w.round(n.t.Context()))
}

// Each container of it is a control group with real processes; what a class with onClientDeath: restart does not mean goes on.
func TestWhoIsRestarted(t *testing.T) {
	n := newNode(t)
	shop, other, lenient := uid(t, 0), uid(t, 1), uid(t, 2)
	target, second, third := n.publish(shop, "shop"), n.publish(other, "other"), n.publish(lenient, "lenient")
	must(t, n.StateDir().WritePublished(statedir.Published{Volume: clients.GV0(), Pod: lenient, Root: "/lenient", Target: third})) // its class says report
	open := func(dir string) string { return "exec 3>>" + filepath.Join(dir, "log") }
	processes := map[string]struct {
		pod      string
		pids     []int // of one container, the first one first
		isTold   bool
		hasPlace bool // in no pod otherwise
	}{
		"a child that writes":                        {shop, []int{programs.Shell(t, "true"), programs.Shell(t, open(target))}, true, true},
		"one that has a file mapped":                 {shop, []int{programs.Mapper(t, filepath.Join(target, "file"))}, true, true},
		"one that only reads":                        {shop, []int{programs.Shell(t, "exec 3<"+filepath.Join(target, "file"))}, false, true},
		"a working directory alone":                  {shop, []int{programs.Shell(t, "cd "+target)}, false, true},
		"another pod that looks at the first's":      {other, []int{programs.Shell(t, open(target)+"; cd "+second)}, false, true},
		"a pod whose class says report":              {lenient, []int{programs.Shell(t, open(third))}, false, true},
		"a pod that nothing was published for":       {uid(t, 3), []int{programs.Shell(t, open(target))}, false, true},
		"a process of the node":                      {"", []int{programs.Shell(t, open(target))}, false, false},
		"a container that has nothing to do with it": {shop, []int{programs.Shell(t, "true")}, false, true},
	}
	number := 0
	var told []int
	for _, p := range processes {
		number++
		if p.hasPlace {
			controlGroup(t, p.pod, id(t, number), p.pids...)
		}
		if p.isTold {
			told = append(told, p.pids[0])
		}
	}
	n.die(target)
	restarts := n.restarted(2)
	for _, s := range restarts {
		if !slices.Contains(told, s.First) || s.Pod != shop || s.Root != "/shop" || s.Told.IsZero() || !s.Killed.IsZero() {
			t.Errorf("told was process %d of container %s of pod %s (want one of %v), because of %d (%s) with %s", s.First, s.Container, s.Pod, told, s.PID, s.Command, s.Root)
		}
	}
	n.again()
	n.restarted(2)
	for name, p := range processes {
		for i, pid := range p.pids {
			mustEnd := p.isTold && i == 0
			testcluster.Eventually(t, clients.Patience, func() error {
				if ended := programs.HasEnded(pid); ended != mustEnd {
					return fmt.Errorf("%s: process %d of the container has ended: %t", name, i, ended)
				}
				return nil
			})
		}
	}
}

// A container that does not end is killed when its time is over, and told once.
func TestAContainerIsToldOnceAndKilledThen(t *testing.T) {
	n := newNode(t, func(w *Watcher) { w.restarter.grace = time.Hour })
	pod := uid(t, 0)
	target := n.publish(pod, "stubborn")
	heard := filepath.Join(t.TempDir(), "heard")
	stubborn := programs.Start(t, exec.Command("/bin/sh", "-c",
		"trap 'echo term >>"+heard+"' TERM; exec 3>>"+filepath.Join(target, "log")+"; echo ready; while :; do read more; done"))
	controlGroup(t, pod, id(t, 0), stubborn)
	n.die(target)
	restarts := n.restarted(1)
	hears := func() error {
		if text, err := os.ReadFile(heard); string(text) != "term\n" {
			return errors.Join(err, fmt.Errorf("it heard %q", text))
		}
		return nil
	}
	testcluster.Eventually(t, clients.Patience, hears)
	n.again()
	n.again()
	if programs.HasEnded(stubborn) || n.restarted(1)[0] != restarts[0] {
		t.Errorf("killed at once, or told again: %+v", n.restarted(1))
	}
	restarts[0].Told = restarts[0].Told.Add(-time.Hour)
	must(t, n.StateDir().WriteRestarts(restarts))
	n.again() // which has not waited for it
	if s := n.restarted(1)[0]; programs.HasEnded(stubborn) || !s.Killed.IsZero() {
		t.Errorf("killed by what a clock says: %+v", s)
	}
	n.again(func(w *Watcher) { w.restarter.grace = 0 })
	testcluster.Eventually(t, clients.Patience, func() error {
		if s := n.restarted(1)[0]; !programs.HasEnded(stubborn) || s.Killed.IsZero() {
			return fmt.Errorf("it goes on: %+v", s)
		}
		return nil
	})
	must(t, hears())
}

func TestFewContainersAreRestartedAtOnce(t *testing.T) {
	n := newNode(t, func(w *Watcher) { w.restarter.window = time.Hour })
	pod := uid(t, 0)
	target := n.publish(pod, "many")
	var pids []int
	for i := range maxRestarts + 2 {
		pids = append(pids, programs.Shell(t, fmt.Sprintf("exec 3>>%s/log%d", target, i)))
		controlGroup(t, pod, id(t, i), pids[i])
	}
	n.die(target)
	restarts := n.restarted(maxRestarts)
	for i := range restarts {
		restarts[i].Told = restarts[i].Told.Add(-time.Hour)
	}
	must(t, n.StateDir().WriteRestarts(restarts))
	n.again() // which has not waited for them
	n.restarted(maxRestarts)
	n.again(func(w *Watcher) { w.restarter.window = 0 })
	n.restarted(maxRestarts + 2)
	for _, pid := range pids {
		testcluster.Eventually(t, clients.Patience, func() error {
			if !programs.HasEnded(pid) {
				return fmt.Errorf("process %d goes on", pid)
			}
			return nil
		})
	}
}

// The number of a process that has ended is given to another, which may be in any container, or in none.
func TestASignalIsForTheProcessThatWasMeant(t *testing.T) {
	pid := programs.Shell(t, "true")
	pod := uid(t, 0)
	controlGroup(t, pod, id(t, 0), pid)
	_, start, _ := holders.Stat(pid)
	in := pods.Container{Pod: pod, Group: id(t, 0)}
	for _, other := range []first{{in, pid, start + 1}, {pods.Container{Pod: pod, Group: id(t, 1)}, pid, start}, {pods.Container{}, pid, start}} {
		if sent, err := signalFirst(other, unix.SIGKILL); sent || err != nil {
			t.Errorf("to %+v it was sent: %t, %v", other, sent, err)
		}
	}
	if sent, err := signalFirst(first{in, pid, start}, unix.SIGKILL); !sent || err != nil {
		t.Fatalf("it was sent: %t, %v", sent, err)
	}
	testcluster.Eventually(t, clients.Patience, func() error {
		if !programs.HasEnded(pid) {
			return errors.New("it goes on")
		}
		return nil
	})
	if sent, err := signalFirst(first{pods.Container{}, 1 << 30, start}, unix.SIGKILL); sent || err != nil {
		t.Errorf("to a process that there is not it was sent: %t, %v", sent, err)
	}
}
