// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/install"
)

// clients is what happens to running pods when parts of the driver and their clients end: nothing, and a pause.
func clients(s *step) {
	n := s.namespace("story-11")
	n.apply("11-script.yaml")
	node := s.Nodes()[1]
	n.template("11-writers.yaml", "NODE", node.Name)
	n.rolledOut(n.name, "deployment/plain")
	n.ready("part", "reader", "locked")
	r := recorders{n}
	r.goOn(r.pods())
	s.part("node_plugin_rolled_out_twice", func(s *step) {
		r.in(s).undisturbedBy(func() {
			for range 2 {
				s.kubectl("-n", driverNamespace, "rollout", "restart", "daemonset/glusterfs-csi-node")
				s.rolledOut(driverNamespace, "daemonset/glusterfs-csi-node")
			}
		})
	})
	s.part("driver_killed", func(s *step) {
		r.in(s).undisturbedBy(func() {
			for _, node := range s.Nodes() {
				s.kill(node, s.pid(node, "node"))
			}
			s.isRegistered()
		})
	})
	s.part("client_killed", func(s *step) {
		r.in(s).repairedAfter(node, func() { s.kill(node, s.clientOf(node)) })
	})
	s.part("mounter_deleted", func(s *step) {
		var ready func()
		client := s.clientOf(node)
		r.in(s).undisturbedBy(func() {
			ready = s.replaceMounter(node)
			ready()
		})
		if now := s.clientOf(node); now != client {
			s.Errorf("the next mounter on %s has client %s, not %s", node.Name, now, client)
		}
		s.rolledOut(driverNamespace, "daemonset/glusterfs-csi-node")
	})
	s.part("mounters_rolled", func(s *step) {
		r.in(s).undisturbedBy(func() {
			for _, node := range s.Nodes() {
				s.replaceMounter(node)()
			}
		})
		for _, node := range s.Nodes() {
			s.clientsAreListed(node)
		}
	})
	s.part("client_replaced", func(s *step) {
		client := s.clientOf(node)
		r.in(s).undisturbedBy(func() {
			said := s.inMounter(node, "glusterfs-csi", "clients", "replace", client)
			s.Logf("%s", said)
		})
		if now := s.clientOf(node); now == client {
			s.Errorf("client %s on %s was not replaced", client, node.Name)
		}
		r.in(s).restartLocked(node) // its mounts stay at the old client
	})
	s.part("health", func(s *step) { brickHealth(r.in(s)) })
	if *full {
		s.part("files_held_open", func(s *step) { filesHeldOpen(s, node) })
	}
}

// replaceMounter replaces the mounter of a node, by the commands of docs/install.md. It returns when the old one has ended, and ready
// when the next one is.
func (s *step) replaceMounter(node *cluster.Node) (ready func()) {
	s.Helper()
	ctx, cancel := s.context(2 * patience)
	s.Cleanup(cancel)
	if err := install.DeleteMounter(ctx, s.Cluster, node.Name); err != nil {
		s.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- install.AwaitMounter(ctx, s.Cluster, node.Name) }()
	return func() {
		if err := <-waited; err != nil {
			s.Fatal(err)
		}
	}
}

// pid is that of the driver's process of one mode on a node.
func (s *step) pid(node *cluster.Node, mode string) string {
	s.Helper()
	return s.must(node, "pgrep", "-o", "-f", "^[^ ]*glusterfs-csi "+mode+" ")
}

// clientOf is the process that serves the pods of a node.
func (s *step) clientOf(node *cluster.Node) string {
	s.Helper()
	var pids []string
	for _, c := range s.clientsAreListed(node) {
		if c.Volume == "pi/gv0" && len(c.Options) == 0 {
			pids = append(pids, strconv.Itoa(c.PID))
		}
	}
	if len(pids) != 1 {
		s.Fatalf("the mounter on %s has %d clients of pi/gv0 without options, not one", node.Name, len(pids))
	}
	return pids[0]
}

// clientsAreListed returns what the mounter of a node says of its clients. Each must have a control group of its own, and the image's GlusterFS in a
// root of its own.
func (s *step) clientsAreListed(node *cluster.Node) (all []answers.Client) {
	s.Helper()
	said := s.inMounter(node, "glusterfs-csi", "clients", "-o", "json")
	if err := json.Unmarshal([]byte(said), &all); err != nil {
		s.Fatalf("%v: %s", err, said)
	}
	for _, c := range all {
		if c.Group == "" || c.Program == "" || c.Outdated {
			s.Errorf("a client on %s is not kept apart: %+v", node.Name, c)
		}
	}
	return all
}

// inMounter runs a command in the mounter of a node.
func (s *step) inMounter(node *cluster.Node, command ...string) string {
	s.Helper()
	mounter := strings.TrimSpace(s.kubectl("-n", driverNamespace, "get", "pod", "-l", "app.kubernetes.io/component=mounter",
		"--field-selector", "spec.nodeName="+node.Name, "-o", "name"))
	return s.kubectl(append([]string{"-n", driverNamespace, "exec", mounter, "--"}, command...)...)
}

func (s *step) kill(node *cluster.Node, pid string) {
	s.Helper()
	s.must(node, "kill", "-KILL", pid)
}

// recorders are the pods of testdata/11-writers.yaml.
type recorders struct{ *namespace }

func (r recorders) in(part *step) recorders { return recorders{r.namespace.in(part)} }

func (r recorders) pods() []corev1.Pod { return r.namespace.pods("writers") }

// notes is what a pod has noted of one kind: "acknowledged", "errors".
func (r recorders) notes(pod, kind string) ([]string, error) {
	output, err := r.try(pod, "cat /notes/"+kind+" 2>/dev/null || true")
	if err != nil || output == "" {
		return nil, err
	}
	return strings.Split(output, "\n"), nil
}

// repaired are the pods whose mounts are repaired. The others', of kind locked, are in another user namespace, for which the kernel has
// locked them as they are.
func (r recorders) repaired() []corev1.Pod {
	return slices.DeleteFunc(r.pods(), func(p corev1.Pod) bool { return p.Labels["kind"] == "locked" })
}

// goOn waits until each pod has more acknowledged than it has now.
func (r recorders) goOn(pods []corev1.Pod) {
	r.Helper()
	for _, p := range pods {
		first := -1
		r.await(patience, p.Name+" goes on", func(context.Context) error {
			acknowledged, err := r.notes(p.Name, "acknowledged")
			switch {
			case err != nil:
				return err
			case first < 0:
				first = len(acknowledged)
				fallthrough
			case len(acknowledged) <= first:
				return fmt.Errorf("it has %d records acknowledged", len(acknowledged))
			}
			return nil
		})
	}
}

// errors is how many errors each pod has noted, and its restarts: both in one figure per pod.
func (r recorders) troubles() (noted map[types.UID]int, restarted map[types.UID]int32) {
	r.Helper()
	noted, restarted = map[types.UID]int{}, map[types.UID]int32{}
	for _, p := range r.pods() {
		lines, err := r.notes(p.Name, "errors")
		if err != nil {
			r.Fatal(err)
		}
		noted[p.UID], restarted[p.UID] = len(lines), restarts(p)
	}
	return noted, restarted
}

// undisturbedBy fails if a pod has an error or is started again while something happens.
func (r recorders) undisturbedBy(happens func()) {
	r.Helper()
	before, restarted := r.troubles()
	happens()
	r.goOn(r.pods())
	after, _ := r.troubles()
	for _, p := range r.pods() {
		if count, known := before[p.UID]; !known || after[p.UID] != count {
			said, err := r.notes(p.Name, "errors")
			r.Errorf("%s has had %d errors: %q, %v", p.Name, after[p.UID]-count, said[min(count, len(said)):], err)
		}
	}
	r.areTheSame(r.pods(), restarted)
	r.areComplete()
}

// repairedAfter fails unless every pod goes on after the clients of a node have ended, without having been started again and
// without having lost what was acknowledged. A pod that starts meanwhile has its data too. The locked one does not go on, the
// mounter says so and why, and it does when it was started again.
func (r recorders) repairedAfter(node *cluster.Node, happens func()) {
	r.Helper()
	before, restarted := r.troubles()
	r.template("05-probe.yaml", "NODE", node.Name)
	began := time.Now()
	happens()
	r.goOn(r.repaired())
	r.Logf("all pods went on %s after it began", seconds(time.Since(began)))
	r.ready("probe-" + node.Name)
	r.sh("probe-"+node.Name, "cat /data/part >/dev/null")
	r.deletePod("probe-" + node.Name)
	after, _ := r.troubles()
	for _, p := range r.pods() {
		r.Logf("%s on %s: %d errors", p.Name, p.Spec.NodeName, after[p.UID]-before[p.UID])
		if p.Spec.NodeName != node.Name && after[p.UID] != before[p.UID] {
			r.Errorf("%s, on the other node, has had %d errors", p.Name, after[p.UID]-before[p.UID])
		}
	}
	r.areTheSame(r.pods(), restarted)
	r.areComplete()
	r.lockedIsStartedAgain(node)
}

// lockedIsStartedAgain fails unless the mounts of the pod in a user namespace of its own have stayed dead, and the mounter tells of it.
func (r recorders) lockedIsStartedAgain(node *cluster.Node) {
	r.Helper()
	if said, err := r.try("locked", "cat /data/locked 2>&1"); err == nil {
		r.Errorf("the locked pod reads its file, of a mount that nobody may have replaced: %.100s", said)
	}
	mounter := strings.TrimSpace(r.kubectl("-n", driverNamespace, "get", "pod", "-l", "app.kubernetes.io/component=mounter",
		"--field-selector", "spec.nodeName="+node.Name, "-o", "name"))
	r.await(patience, "the mounter says why the locked pod has to be started again", func(context.Context) error {
		log, err := r.tryKubectl("-n", driverNamespace, "logs", mounter)
		if err == nil && !strings.Contains(log, "belongs to another user namespace") {
			err = errors.New("its log does not")
		}
		return err
	})
	r.restartLocked(node)
}

func (r recorders) restartLocked(node *cluster.Node) {
	r.Helper()
	r.deletePod("locked")
	r.template("11-writers.yaml", "NODE", node.Name)
	r.ready("locked")
	r.goOn(r.pods())
}

// areTheSame fails if a pod was replaced, or its container started again.
func (r recorders) areTheSame(pods []corev1.Pod, restarted map[types.UID]int32) {
	r.Helper()
	for _, p := range pods {
		if count, known := restarted[p.UID]; !known || restarts(p) != count {
			r.Errorf("%s is another pod, or its container was started again", p.Name)
		}
	}
}

// areComplete fails unless each acknowledged record is in the writer's file.
func (r recorders) areComplete() {
	r.Helper()
	for _, p := range r.pods() {
		file, reader := "/data/"+p.Name, p.Name
		switch p.Labels["kind"] {
		case "reader":
			continue // writes nothing
		case "part":
			file = "/records"
		case "locked":
			reader = "reader" // which is on the same node, and sees what there is when the locked one's mounts are dead
		}
		acknowledged, err := r.notes(p.Name, "acknowledged")
		if err != nil {
			r.Fatal(err)
		}
		have := map[string]bool{}
		for line := range strings.Lines(r.sh(reader, "cat "+file)) {
			have[strings.TrimSpace(line)] = true
		}
		for _, record := range acknowledged {
			if !have[record] {
				r.Errorf("%s has lost the acknowledged record %q", p.Name, record)
			}
		}
	}
}
