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

// installation looks at the driver's own objects.
func (o *Objects) installation() []answers.Finding {
	if o.Before {
		return nil
	}
	found := []answers.Finding{o.registered()}
	for _, part := range []struct{ kind, component, does string }{
		{"Deployment", "controller", "claims stay Pending"},
		{"DaemonSet", "node", "pods cannot start on nodes without it"},
		{"DaemonSet", "mounter", "clients that die there are not started again"},
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
	return cmp.Or(kubectl, "kubectl apply -k deploy/kubernetes/base")
}

// why is how to learn why pods are not ready: the worst of them is named.
func (o *Objects) why(component string) string {
	for _, u := range o.byKind["Pod"] {
		if u.GetNamespace() != o.Namespace || u.GetLabels()[componentLabel] != component {
			continue
		}
		for _, s := range objects.Maps(u, "status", "containerStatuses") {
			if ready, _ := s["ready"].(bool); !ready {
				return fmt.Sprintf("kubectl -n %s describe pod %s; kubectl -n %s logs %s -c %v --previous", o.Namespace, u.GetName(), o.Namespace, u.GetName(), s["name"])
			}
		}
	}
	return fmt.Sprintf("kubectl -n %s describe pods -l %s=%s", o.Namespace, componentLabel, component)
}

// csiNodes looks whether kubelet of each node that has the node plugin knows the driver.
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
	for _, u := range o.byKind["Node"] {
		cure := "kubectl -n " + o.Namespace + " get pods -o wide --field-selector spec.nodeName=" + u.GetName() + "; a kubelet with another --root-dir: helm upgrade … --set kubeletDir=DIR"
		if o.Namespace == "" {
			cure = o.install("")
		}
		if objects.Text(u, "metadata", "labels", "kubernetes.io/os") == "windows" {
			continue
		}
		if !knows[u.GetName()] {
			found = append(found, answers.Fault(check, "node "+u.GetName(), "its kubelet does not know the driver: pods there say `driver name "+o.Driver+" not found in the list of registered CSI drivers`", cure))
		}
	}
	if len(found) == 0 && len(o.byKind["Node"]) > 0 {
		found = append(found, answers.Well(check, "all nodes", "each kubelet knows the driver"))
	}
	return found
}

// skew looks for pods of different versions.
func (o *Objects) skew() []answers.Finding {
	const check = "version"
	images := map[string][]string{}
	for _, u := range o.byKind["Pod"] {
		if u.GetNamespace() != o.Namespace || u.GetLabels()[componentLabel] == "" {
			continue
		}
		for _, c := range objects.Maps(u, "spec", "containers") {
			if c["name"] == "driver" || c["name"] == "mounter" {
				image, _ := c["image"].(string)
				images[image] = append(images[image], u.GetName())
			}
		}
	}
	if len(images) < 2 {
		return nil
	}
	var said []string
	var mounters []string
	newest := ""
	for image := range images {
		newest = max(newest, image)
	}
	for image, pods := range images {
		said = append(said, fmt.Sprintf("%s in %d pods", image, len(pods)))
		for _, pod := range pods {
			if image != newest {
				mounters = append(mounters, pod)
			}
		}
	}
	slices.Sort(said)
	slices.Sort(mounters)
	return []answers.Finding{answers.Warned(check, "namespace "+o.Namespace, "its pods are of several versions: "+strings.Join(said, ", ")+". Mounters are updated when their pods are deleted; GlusterFS clients go on",
		"kubectl -n "+o.Namespace+" delete pod "+strings.Join(mounters, " "))}
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
