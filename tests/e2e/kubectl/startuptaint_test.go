// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const startupTaint = "glusterfs.csi.gluster.org/agent-not-ready"

// makeNode registers a node as kubelet does with --register-with-taints, among others.
func (w *world) makeNode(name string) {
	w.Helper()
	w.make(map[string]any{
		"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"taints": []any{
			map[string]any{"key": startupTaint, "effect": "NoSchedule"}, map[string]any{"key": "before", "effect": "NoSchedule"},
			map[string]any{"key": startupTaint, "effect": "NoExecute"}, map[string]any{"key": "behind", "value": "x", "effect": "NoExecute"},
		}},
	}, "")
}

// register has the CSINode of a node list the driver, as kubelet does when the node plugin has registered.
func (w *world) register(node, uid string) {
	w.Helper()
	w.make(map[string]any{
		"apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
		"metadata": map[string]any{"name": node, "ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}}},
		"spec":     map[string]any{"drivers": []any{map[string]any{"name": "glusterfs.csi.gluster.org", "nodeID": node}}},
	}, "")
}

func (w *world) taints(node string) []string {
	w.Helper()
	list, _, _ := unstructured.NestedSlice(w.get(nodes, "", node).Object, "spec", "taints")
	var keys []string
	for _, one := range list {
		taint, isMap := one.(map[string]any)
		if !isMap {
			w.Fatalf("a taint: %v", one)
		}
		keys = append(keys, fmt.Sprint(taint["key"]))
	}
	return keys
}

// logged waits until the controller has said something of a node.
func (w *world) logged(c *controller, node, says string) {
	w.Helper()
	w.await("it says: "+says, func() error {
		for line := range strings.Lines(c.log()) {
			if strings.Contains(line, `node="`+node+`"`) && strings.Contains(line, says) {
				return nil
			}
		}
		return errors.New("it does not")
	})
}

// TestANodeLosesItsStartupTaintWhenItCanMount: not before the node plugin has registered and the mounter is ready; by no
// more rights than the manifests give; and no other taint goes with it, or comes back with the mounter's end.
func TestANodeLosesItsStartupTaintWhenItCanMount(t *testing.T) {
	w := newWorld(t)
	w.makeNode("early") // before the controller starts
	c := w.newController("--startup-taint", repository+"/deploy/kubernetes/components/startup-taint/startuptaint.yaml")
	w.makeNode("late")
	for _, node := range []string{"early", "late"} {
		w.logged(c, node, "its CSINode does not list the driver")
		w.register(node, string(w.get(nodes, "", node).GetUID()))
		w.logged(c, node, "no pod of its mounter is ready")
		w.makePodAt("mounter", node)
		if keys := w.taints(node); !slices.Contains(keys, startupTaint) {
			t.Errorf("%s lost its taint before its mounter was ready: %q", node, keys)
		}
		w.setReady("glusterfs-csi-mounter-"+node, "True")
		w.logged(c, node, "Took the start-up taint off")
		want := []string{"before", "behind"}
		got := slices.DeleteFunc(w.taints(node), func(key string) bool { return strings.HasPrefix(key, "node.kubernetes.io/") }) // of Kubernetes itself
		if !slices.Equal(got, want) {
			t.Errorf("%s has the taints %q, not %q", node, got, want)
		}
	}

	w.setReady("glusterfs-csi-mounter-early", "False")
	w.makeNode("again") // which the controller looks at after that
	w.logged(c, "again", "its CSINode does not list the driver")
	if keys := w.taints("early"); slices.Contains(keys, startupTaint) {
		t.Errorf("a node whose mounter went has it again: %q", keys)
	}
}

// TestTheCSINodeOfAFormerNodeIsNoReason to take the taint off one that has its name.
func TestTheCSINodeOfAFormerNodeIsNoReason(t *testing.T) {
	w := newWorld(t)
	c := w.newController("--startup-taint", repository+"/deploy/kubernetes/components/startup-taint/startuptaint.yaml")
	w.makeNode("renewed")
	w.makePodAt("mounter", "renewed")
	w.setReady("glusterfs-csi-mounter-renewed", "True")
	w.register("renewed", "of-the-former")
	w.logged(c, "renewed", "that is gone")
	if err := purge(t.Context(), made{csiNodes, "", "renewed"}); err != nil {
		t.Fatal(err)
	}
	w.register("renewed", string(w.get(nodes, "", "renewed").GetUID()))
	w.logged(c, "renewed", "Took the start-up taint off")
}

// makePodAt makes a pod of a component on a node, which is not ready.
func (w *world) makePodAt(component, node string) {
	w.Helper()
	w.make(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "glusterfs-csi-" + component + "-" + node, "labels": map[string]any{
			"app.kubernetes.io/name": "glusterfs-csi", "app.kubernetes.io/component": component,
		}},
		"spec": map[string]any{
			"automountServiceAccountToken": false, "nodeName": node, "tolerations": []any{map[string]any{"operator": "Exists"}},
			"containers": []any{map[string]any{"name": component, "image": "glusterfs-csi:v1"}},
		},
	}, "glusterfs-csi")
}

func (w *world) setReady(pod, status string) {
	w.Helper()
	w.setStatus(pods, "glusterfs-csi", pod, []any{map[string]any{"type": "Ready", "status": status}}, "conditions")
}

// TestWithoutTheRightsTheStartupTaintStays, and the log says which right is missing.
func TestWithoutTheRightsTheStartupTaintStays(t *testing.T) {
	w := newWorld(t)
	w.makeNode("waits")
	c := w.newController("--startup-taint", repository+"/deploy/kubernetes/base/events.yaml")
	w.await("it says what it may not", func() error {
		if log := c.log(); !strings.Contains(log, "Nodes cannot be watched") || !strings.Contains(log, `cannot watch resource \"nodes\"`) {
			return errors.New(log)
		}
		return nil
	})
	if _, err := client.Resource(nodes).Get(context.WithoutCancel(t.Context()), "waits", metav1.GetOptions{}); err != nil || !slices.Contains(w.taints("waits"), startupTaint) {
		t.Errorf("%v, %q", err, w.taints("waits"))
	}
}
