// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// survival is whatever ends and comes back below running pods.
func survival(s *step) {
	n := s.namespace("story-05")
	w := n.startWriters()
	s.part("node_plugin_rolled_out", func(s *step) { rollOut(w.in(s)) })
	s.part("kubelet_restarted", func(s *step) { restartKubelets(w.in(s)) })
	s.part("controller_killed", func(s *step) { killController(n.in(s)) })
	s.part("pod_evicted", func(s *step) { evict(w.in(s)) })
	s.part("node_rebooted", func(s *step) { reboot(w.in(s)) })
	s.part("nothing_is_stuck", func(s *step) { s.nothingTerminates() })
}

// rollOut replaces the node plugin. Its clients are not its own, so the pods do not notice.
func rollOut(w writers) {
	before := w.state()
	began := time.Now()
	w.kubectl("-n", driverNamespace, "rollout", "restart", "daemonset/glusterfs-csi-node")
	w.rolledOut(driverNamespace, "daemonset/glusterfs-csi-node")
	w.isRegistered()
	w.Logf("the node plugin was rolled out in %s", seconds(time.Since(began)))
	w.areUndisturbed(before)
	w.probe()
}

// restartKubelets restarts each node's kubelet: the pods do not notice, the plugin registers again, and what kubelet
// mounted before it unmounts.
func restartKubelets(w writers) {
	before := w.state()
	w.startProbes()
	for _, node := range w.Nodes() {
		ctx, cancel := w.context(patience)
		err := node.RestartKubelet(ctx)
		cancel()
		if err != nil {
			w.Fatal(err)
		}
	}
	w.isRegistered()
	w.removeProbes()
	w.probe()
	w.areUndisturbed(before)
}

// probe starts a pod on each node with the data of the writers and removes it again.
func (n *namespace) probe() {
	n.Helper()
	n.startProbes()
	n.removeProbes()
}

func (n *namespace) startProbes() {
	n.Helper()
	for _, node := range n.Nodes() {
		n.template("05-probe.yaml", "NODE", node.Name)
	}
	for _, node := range n.Nodes() {
		n.ready("probe-" + node.Name)
		if n.sh("probe-"+node.Name, "ls /data") == "" {
			n.Errorf("a pod that starts on %s finds nothing", node.Name)
		}
	}
}

func (n *namespace) removeProbes() {
	n.Helper()
	uids := map[*cluster.Node]string{}
	for _, node := range n.Nodes() {
		uids[node] = string(n.pod("probe-" + node.Name).UID)
		n.kubectl("-n", n.name, "delete", "pod", "probe-"+node.Name, "--wait=false")
	}
	for node, uid := range uids {
		n.gone("pod", "probe-"+node.Name)
		n.hasNoMounts(node, uid)
	}
}

// killController ends the controller in the middle of making volumes: all are made, each once.
func killController(n *namespace) {
	const count = 40
	times := n.watchClaims()
	n.makeClaims(count)
	n.await(patience, "the first is bound", func(context.Context) error {
		if times.count() == 0 {
			return fmt.Errorf("none is")
		}
		return nil
	})
	n.killPods("controller", "")
	bound := times.count()
	if bound == count {
		n.Error("all claims were bound before the controller was killed: nothing was interrupted")
	}
	n.Logf("%d of %d claims were bound when the controller was killed, the last %s after the first was made", bound, count, seconds(times.last(count)))

	var want []string
	for i := range count {
		want = append(want, path(n.volume(claimName(i))))
	}
	slices.Sort(want)
	n.rolledOut(driverNamespace, "deployment/glusterfs-csi-controller")
	n.hasNoOrphans()
	if unique := slices.Compact(slices.Clone(want)); len(unique) != count {
		n.Errorf("%d claims have %d directories", count, len(unique))
	}
	n.kubectl("-n", n.name, "delete", "persistentvolumeclaims", "-l", "story=many", "--wait=false")
}

// killPods deletes the driver's pods of a component on all nodes or one, without a grace period.
func (s *step) killPods(component, node string) {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	which := metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + component}
	if node != "" {
		which.FieldSelector = "spec.nodeName=" + node
	}
	grace := int64(0)
	if err := s.api.CoreV1().Pods(driverNamespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &grace}, which); err != nil {
		s.Fatal(err)
	}
}

// hasNoOrphans fails unless each directory that a class's default path makes belongs to a PersistentVolume.
func (s *step) hasNoOrphans() {
	s.Helper()
	g := s.gv0()
	owned := map[string]bool{}
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	volumes, err := s.api.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	for _, v := range volumes.Items {
		if v.Spec.CSI != nil && v.Spec.CSI.Driver == driverName {
			owned[path(&v)] = true
		}
	}
	for _, dir := range g.entries(".") {
		if strings.HasPrefix(dir, "pvc-") && !owned[dir] {
			s.Errorf("directory %s on %s belongs to no PersistentVolume", dir, cluster.Volume)
		}
	}
}

// evict evicts a pod by the API that draining a node uses. Its replacement has its data.
func evict(w writers) {
	pods := w.pods()
	evicted := pods[0].Name
	count, err := w.count(evicted, evicted)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := w.context(callTimeout)
	defer cancel()
	if err := w.api.CoreV1().Pods(w.name).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: evicted}}); err != nil {
		w.Fatal(err)
	}
	w.gone("pod", evicted)
	w.rolledOut(w.name, "deployment/writers")
	known := map[string]bool{}
	for _, p := range pods {
		known[p.Name] = true
	}
	for _, p := range w.pods() {
		if !known[p.Name] {
			w.isComplete(p.Name, evicted, count)
		}
	}
	w.writeOn()
}

// reboot ends everything on the second node, its brick too. Its pods come back with their data; those of the other
// node do not notice.
func reboot(w writers) {
	node := w.Nodes()[1]
	before := w.state()
	counts := map[string]int{}
	for _, p := range w.pods() {
		count, err := w.count(p.Name, p.Name)
		if err != nil {
			w.Fatal(err)
		}
		counts[p.Name] = count
	}
	w.restart(node)
	for _, p := range w.pods() {
		if p.Spec.NodeName != node.Name {
			continue
		}
		took := w.await(rebootTimeout, p.Name+" runs again", func(ctx context.Context) error {
			now, err := w.api.CoreV1().Pods(w.name).Get(ctx, p.Name, metav1.GetOptions{})
			if err == nil && (restarts(*now) == before[p.UID] || !isReady(now)) {
				err = fmt.Errorf("it is %s; %s", now.Status.Phase, w.lastEvent(ctx, "Pod", p.Name))
			}
			return err
		})
		w.Logf("%s on %s was ready %s after the node was up", p.Name, node.Name, seconds(took))
	}
	w.isEverywhere()
	w.isRegistered()
	w.writeOn()
	for _, p := range w.pods() {
		if p.Spec.NodeName == node.Name {
			w.isComplete(p.Name, p.Name, counts[p.Name])
			continue
		}
		if restarts(p) != before[p.UID] {
			w.Errorf("the container of %s on %s was started again", p.Name, p.Spec.NodeName)
		}
		if noted := w.noted(p.Name); noted != "" {
			w.Errorf("%s on %s had errors: %s", p.Name, p.Spec.NodeName, noted)
		}
		w.isComplete(p.Name, p.Name, counts[p.Name])
	}
	w.probe()
	w.isHealed()
}

func (s *step) restart(node *cluster.Node) {
	s.Helper()
	ctx, cancel := s.context(rebootTimeout)
	defer cancel()
	began := time.Now()
	if err := node.Reboot(ctx); err != nil {
		s.Fatal(err)
	}
	s.Logf("%s was rebooted in %s", node.Name, seconds(time.Since(began)))
}

// nothingTerminates waits until no pod is being deleted.
func (s *step) nothingTerminates() {
	s.Helper()
	s.await(patience, "no pod is Terminating", func(ctx context.Context) error {
		pods, err := s.api.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range pods.Items {
			if p.DeletionTimestamp != nil {
				return fmt.Errorf("%s/%s is", p.Namespace, p.Name)
			}
		}
		return nil
	})
}
