// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
)

// reducePod adds what a bundle has of a pod: of the driver's own how it is run, of one that uses a volume where and
// how.
func (o *Objects) reducePod(small map[string]any, u *unstructured.Unstructured) {
	if o.isOwn(u) {
		spec, _, _ := unstructured.NestedMap(u.Object, "spec")
		small["spec"] = ownPodSpec(spec)
		keep(small, u.Object, "status.conditions")
	} else {
		keep(small, u.Object, "spec.nodeName", "spec.hostUsers", "spec.securityContext.fsGroup", "spec.securityContext.fsGroupChangePolicy",
			"spec.securityContext.runAsUser", "spec.securityContext.runAsGroup", "spec.securityContext.supplementalGroups")
		_ = unstructured.SetNestedSlice(small, o.claimsOf(u), "spec", "volumes")
	}
	keep(small, u.Object, "status.phase", "status.reason", "status.startTime", "status.podIP", "status.hostIP")
	var statuses []any
	for _, s := range objects.Maps(u, "status", "containerStatuses") {
		status := map[string]any{}
		keep(status, s, "name", "ready", "restartCount", "image", "imageID")
		for _, state := range []string{"state", "lastState"} { // without the message, which is what a container has said
			keep(status, s, state+".running", state+".waiting.reason", state+".terminated.reason", state+".terminated.exitCode",
				state+".terminated.signal", state+".terminated.startedAt", state+".terminated.finishedAt")
		}
		statuses = append(statuses, status)
	}
	_ = unstructured.SetNestedSlice(small, statuses, "status", "containerStatuses")
}

// ownContainers are the driver's and its sidecars. What else runs in its pods was put there by somebody else.
var ownContainers = []string{"driver", "mounter", "provisioner", "resizer", "snapshotter"}

// ownPodSpec is how a pod of the driver is run, without environment.
func ownPodSpec(spec map[string]any) map[string]any {
	small := map[string]any{}
	keep(small, spec, "nodeName", "hostNetwork", "hostPID", "hostUsers", "dnsPolicy", "priorityClassName", "priority", "serviceAccountName",
		"nodeSelector", "tolerations", "affinity", "terminationGracePeriodSeconds")
	of := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	var containers, volumes []any
	for _, c := range objects.Maps(of, "spec", "containers") {
		container := map[string]any{}
		keep(container, c, "name", "image", "imagePullPolicy", "resources", "ports", "volumeMounts", "securityContext")
		if name, _ := c["name"].(string); slices.Contains(ownContainers, name) {
			keep(container, c, "args")
		}
		containers = append(containers, container)
	}
	for _, v := range objects.Maps(of, "spec", "volumes") {
		volume := map[string]any{}
		keep(volume, v, "name", "hostPath", "emptyDir", "configMap.name", "persistentVolumeClaim.claimName")
		volumes = append(volumes, volume)
	}
	small["containers"], small["volumes"] = containers, volumes
	return small
}

// keep copies fields, named as a.b.c, from one object into another. A dot within a name has a backslash before it.
func keep(into, from map[string]any, fields ...string) {
	for _, field := range fields {
		path := strings.Split(strings.ReplaceAll(field, `\.`, "\x00"), ".")
		for i := range path {
			path[i] = strings.ReplaceAll(path[i], "\x00", ".")
		}
		value, found, err := unstructured.NestedFieldCopy(from, path...)
		if err == nil && found {
			_ = unstructured.SetNestedField(into, value, path...)
		}
	}
}

func id(u *unstructured.Unstructured) string { return u.GetNamespace() + "/" + u.GetName() }

func stringsOf(object map[string]any, path ...string) map[string]string {
	values, _, _ := unstructured.NestedStringMap(object, path...)
	return values
}
