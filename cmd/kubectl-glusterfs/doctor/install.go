// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// The components of the driver, as the label of their objects says.
const componentLabel = "app.kubernetes.io/component"

// mounter is a component, and the container of its pods.
const mounter = "mounter"

// installation looks at the driver's own objects.
func (o *Objects) installation() []answers.Finding {
	if o.Before {
		return nil
	}
	found := []answers.Finding{o.registered()}
	for _, part := range []struct{ kind, component, does string }{
		{"Deployment", "controller", "claims stay Pending"},
		{"DaemonSet", "node", "pods cannot start on nodes without it"},
		{"DaemonSet", mounter, "clients that die there are not started again"},
	} {
		found = append(found, o.component(part.kind, part.component, part.does))
	}
	return slices.Concat(found, o.csiNodes(), o.skew(), o.ended())
}

func (o *Objects) registered() answers.Finding {
	const check = "csidriver"
	for _, u := range o.byKind["CSIDriver"] {
		if u.GetName() == o.Driver {
			return answers.Well(check, o.Driver, "Kubernetes knows the driver")
		}
	}
	return answers.Fault(check, o.Driver, "there is no CSIDriver object: fsGroup is not applied as it should be, and pods wait to be attached for ever", o.install(""))
}

func (o *Objects) component(kind, component, does string) answers.Finding {
	check := component
	for _, u := range o.byKind[kind] {
		if u.GetNamespace() != o.Namespace || u.GetLabels()[componentLabel] != component {
			continue
		}
		want, have := number(u, "status", "desiredNumberScheduled"), number(u, "status", "numberReady")
		if kind == "Deployment" {
			want, have = number(u, "spec", "replicas"), number(u, "status", "readyReplicas")
		}
		if want == 0 || have < want {
			return answers.Fault(check, name(u), fmt.Sprintf("%d of %d pods are ready: %s", have, want, does), o.why(component))
		}
		return answers.Well(check, name(u), fmt.Sprintf("%d of %d pods are ready", have, want))
	}
	return answers.Fault(check, strings.ToLower(kind)+" of the "+component, "it is not there: "+does, o.install(""))
}

// install is how what is missing comes to the cluster: by the way in which the driver's objects there came. kubectl is
// the command for one object; "" for all.
func (o *Objects) install(kubectl string) string {
	isThere := false
	for _, kind := range []string{"CSIDriver", "ConfigMap", "DaemonSet", "Deployment"} {
		for _, u := range o.byKind[kind] {
			if u.GetName() != o.Driver && u.GetName() != migrate.ClustersConfigMap && (u.GetNamespace() != o.Namespace || u.GetLabels()[componentLabel] == "") {
				continue
			}
			isThere = true
			if release := u.GetAnnotations()["meta.helm.sh/release-name"]; release != "" {
				return "helm upgrade --install " + release + " deploy/helm/glusterfs-csi -n " + u.GetAnnotations()["meta.helm.sh/release-namespace"] + " -f my-values.yaml"
			}
		}
	}
	if !isThere {
		return "install the driver: docs/install.md"
	}
	return cmp.Or(kubectl, "kubectl apply -k deploy/kubernetes/base   # or the directory that you have installed from")
}

// why is how to learn why pods are not ready: the worst of them is named.
func (o *Objects) why(component string) string {
	for _, u := range o.podsOf(component) {
		for _, s := range objects.Maps(u, "status", "containerStatuses") {
			if ready, _ := s["ready"].(bool); !ready {
				return fmt.Sprintf("kubectl -n %s describe pod %s; kubectl -n %s logs %s -c %v --previous", o.Namespace, u.GetName(), o.Namespace, u.GetName(), s["name"])
			}
		}
	}
	return fmt.Sprintf("kubectl -n %s describe pods -l %s=%s", o.Namespace, componentLabel, component)
}

// csiNodes looks whether kubelet of each node that has a pod of the node plugin knows the driver.
func (o *Objects) csiNodes() []answers.Finding {
	const check = "registration"
	knows := map[string]bool{}
	for _, u := range o.byKind["CSINode"] {
		for _, d := range objects.Maps(u, "spec", "drivers") {
			if d["name"] == o.Driver {
				knows[u.GetName()] = true
			}
		}
	}
	var found []answers.Finding
	nodes := 0
	for _, pod := range o.podsOf("node") {
		node := objects.Text(pod, "spec", "nodeName")
		if node == "" {
			continue
		}
		nodes++
		if !knows[node] {
			found = append(found, answers.Fault(check, "node "+node, "its kubelet does not know the driver: pods there say `driver name "+o.Driver+" not found in the list of registered CSI drivers`",
				"kubectl -n "+o.Namespace+" get pods -o wide --field-selector spec.nodeName="+node+"; a kubelet with another --root-dir: helm upgrade … --set kubeletDir=DIR"))
		}
	}
	if len(found) == 0 && nodes > 0 {
		found = append(found, answers.Well(check, fmt.Sprintf("%d of %d nodes", nodes, len(o.byKind["Node"])), "each has the node plugin, and its kubelet knows the driver"))
	}
	return found
}

func (o *Objects) podsOf(component string) (found []*unstructured.Unstructured) {
	for _, u := range o.byKind["Pod"] {
		if u.GetNamespace() == o.Namespace && u.GetLabels()[componentLabel] == component {
			found = append(found, u)
		}
	}
	return found
}

// skew looks for mounters that wait to be updated: their DaemonSet leaves it to an operator when. Where an admission webhook
// gives pods another image, the DaemonSet's own count tells that none waits.
func (o *Objects) skew() []answers.Finding {
	var found []answers.Finding
	for _, set := range o.byKind["DaemonSet"] {
		if set.GetNamespace() != o.Namespace || set.GetLabels()[componentLabel] != mounter {
			continue
		}
		if all := number(set, "status", "desiredNumberScheduled"); all > 0 && number(set, "status", "updatedNumberScheduled") == all {
			continue
		}
		want := image(objects.Maps(set, "spec", "template", "spec", "containers"))
		for _, pod := range o.podsOf(mounter) {
			if has := image(objects.Maps(pod, "spec", "containers")); has != want {
				found = append(found, answers.Warned("version", name(pod), "it has "+has+", and the next one "+want+": mounters are updated when their pods are deleted, one node after the other, and GlusterFS clients go on",
					"kubectl -n "+o.Namespace+" delete pod "+pod.GetName()))
			}
		}
	}
	return found
}

// image is that of the mounter among the containers of a pod.
func image(containers []map[string]any) string {
	for _, c := range containers {
		if c["name"] == mounter {
			text, _ := c["image"].(string)
			return text
		}
	}
	return ""
}

// ended looks for containers of the driver that ended badly: a mounter takes the node's clients along.
func (o *Objects) ended() []answers.Finding {
	var found []answers.Finding
	for _, u := range o.byKind["Pod"] {
		if u.GetNamespace() != o.Namespace || u.GetLabels()[componentLabel] == "" {
			continue
		}
		for _, s := range objects.Maps(u, "status", "containerStatuses") {
			reason, _, _ := unstructured.NestedString(s, "lastState", "terminated", "reason")
			waiting, _, _ := unstructured.NestedString(s, "state", "waiting", "reason")
			switch {
			case waiting != "":
				found = append(found, answers.Fault("pods", name(u), fmt.Sprintf("container %v waits: %s", s["name"], waiting), "kubectl -n "+o.Namespace+" describe pod "+u.GetName()))
			case reason == "OOMKilled":
				found = append(found, answers.Fault("pods", name(u), fmt.Sprintf("container %v was killed for want of memory", s["name"]), "docs/operations.md, Memory: fewer clients, or more memory for the node"))
			}
		}
	}
	return found
}
