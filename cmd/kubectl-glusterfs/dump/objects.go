// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// Objects are those of a cluster, of which a bundle has the driver's own, its volumes and who uses them.
type Objects struct {
	Driver    string // its name in CSI
	Namespace string // its own, or ""
	Since     time.Time
	All       []map[string]any

	volumes map[string]bool // PersistentVolumes of the driver
	claims  map[string]bool // namespace/name of claims that have one, or wait for one
	users   map[string]bool // namespace/name of pods that have one of the claims
}

// kept are the fields that a bundle has of a kind. What is not named here is not in it: annotations, which hold whole
// objects as they were applied, environments, commands of other people's containers.
var kept = map[string][]string{
	"ConfigMap":             {"data." + strings.ReplaceAll(migrate.ClustersKey, ".", `\.`)},
	"CSIDriver":             {"spec"},
	"CSINode":               {"spec"},
	"StorageClass":          {"provisioner", "parameters", "mountOptions", "reclaimPolicy", "volumeBindingMode", "allowVolumeExpansion"},
	"VolumeAttributesClass": {"driverName", "parameters"},
	"PersistentVolume": {
		"spec.capacity", "spec.accessModes", "spec.persistentVolumeReclaimPolicy", "spec.storageClassName", "spec.mountOptions", "spec.volumeMode",
		"spec.claimRef.namespace", "spec.claimRef.name", "spec.claimRef.uid", "spec.csi.driver", "spec.csi.volumeHandle", "spec.csi.readOnly",
		"spec.csi.volumeAttributes", "spec.glusterfs", "spec.volumeAttributesClassName", "status",
	},
	"PersistentVolumeClaim": {
		"spec.accessModes", "spec.resources", "spec.storageClassName", "spec.volumeName", "spec.volumeMode", "spec.dataSource", "spec.volumeAttributesClassName", "status",
	},
	"Node": {
		"spec.unschedulable", "spec.taints", "status.addresses", "status.capacity", "status.conditions", "status.nodeInfo.architecture", "status.nodeInfo.kernelVersion",
		"status.nodeInfo.osImage", "status.nodeInfo.kubeletVersion", "status.nodeInfo.containerRuntimeVersion",
	},
	"Event": {"involvedObject", "reason", "message", "type", "count", "firstTimestamp", "lastTimestamp", "eventTime", "source", "reportingComponent"},
}

// Kept is what a bundle has of them, by kind, in the order in which they came.
func (o *Objects) Kept() map[string][]map[string]any {
	o.learn()
	found := map[string][]map[string]any{}
	for _, content := range o.All {
		u := &unstructured.Unstructured{Object: content}
		if !o.isConcerned(u) {
			continue
		}
		small := o.reduce(u)
		found[u.GetKind()] = append(found[u.GetKind()], small)
	}
	return found
}

// Paths are those of the driver's volumes.
func (o *Objects) Paths() (paths []string) {
	for _, content := range o.All {
		u := &unstructured.Unstructured{Object: content}
		if path := objects.Text(u, "spec", "csi", "volumeAttributes", "path"); u.GetKind() == "PersistentVolume" && objects.Text(u, "spec", "csi", "driver") == o.Driver {
			paths = append(paths, path)
		}
	}
	return paths
}

// learn finds the driver's volumes, and who uses them.
func (o *Objects) learn() {
	o.volumes, o.claims, o.users = map[string]bool{}, map[string]bool{}, map[string]bool{}
	classes := map[string]bool{}
	for _, pass := range []string{"StorageClass", "PersistentVolume", "PersistentVolumeClaim", "Pod"} {
		for _, content := range o.All {
			u := &unstructured.Unstructured{Object: content}
			if u.GetKind() != pass {
				continue
			}
			switch pass {
			case "StorageClass":
				classes[u.GetName()] = objects.Text(u, "provisioner") == o.Driver
			case "PersistentVolume":
				_, isOld, _ := unstructured.NestedMap(content, "spec", "glusterfs")
				o.volumes[u.GetName()] = isOld || objects.Text(u, "spec", "csi", "driver") == o.Driver
			case "PersistentVolumeClaim":
				o.claims[id(u)] = classes[objects.Text(u, "spec", "storageClassName")] || o.volumes[objects.Text(u, "spec", "volumeName")]
			case "Pod":
				o.users[id(u)] = len(o.claimsOf(u)) > 0
			}
		}
	}
}

// claimsOf are the claims of a pod that have a volume of the driver, as the pod's spec has them.
func (o *Objects) claimsOf(pod *unstructured.Unstructured) (found []any) {
	for _, v := range objects.Maps(pod, "spec", "volumes") {
		name, _, _ := unstructured.NestedString(v, "persistentVolumeClaim", "claimName")
		if name != "" && o.claims[pod.GetNamespace()+"/"+name] {
			found = append(found, map[string]any{"name": v["name"], "persistentVolumeClaim": v["persistentVolumeClaim"]})
		}
	}
	return found
}

func (o *Objects) isOwn(u *unstructured.Unstructured) bool {
	return o.Namespace != "" && u.GetNamespace() == o.Namespace && u.GetLabels()["app.kubernetes.io/name"] == "glusterfs-csi"
}

func (o *Objects) isConcerned(u *unstructured.Unstructured) bool {
	switch u.GetKind() {
	case "ConfigMap":
		return u.GetName() == migrate.ClustersConfigMap
	case "CSIDriver":
		return u.GetName() == o.Driver
	case "StorageClass":
		return objects.Text(u, "provisioner") == o.Driver
	case "VolumeAttributesClass":
		return objects.Text(u, "driverName") == o.Driver
	case "PersistentVolume":
		return o.volumes[u.GetName()]
	case "PersistentVolumeClaim":
		return o.claims[id(u)]
	case "Pod":
		return o.isOwn(u) || o.users[id(u)]
	case "Deployment", "DaemonSet":
		return o.isOwn(u)
	case "Event":
		return o.isEventConcerned(u)
	case "Node", "CSINode":
		return true
	}
	return false
}

// ofVolumes are the reasons of events of other people's pods that are about volumes. Others may quote what a container
// says.
var ofVolumes = []string{"FailedMount", "FailedAttachVolume", "FailedUnMount", "FailedMapVolume", "VolumeConditionAbnormal", "VolumeResizeFailed"}

func (o *Objects) isEventConcerned(u *unstructured.Unstructured) bool {
	for _, field := range []string{"lastTimestamp", "eventTime", "firstTimestamp"} {
		if at, err := time.Parse(time.RFC3339, objects.Text(u, field)); err == nil {
			if at.Before(o.Since) {
				return false
			}
			break
		}
	}
	namespace, name := objects.Text(u, "involvedObject", "namespace"), objects.Text(u, "involvedObject", "name")
	switch objects.Text(u, "involvedObject", "kind") {
	case "PersistentVolume":
		return o.volumes[name]
	case "PersistentVolumeClaim":
		return o.claims[namespace+"/"+name]
	case "Pod":
		return o.Namespace != "" && namespace == o.Namespace || o.users[namespace+"/"+name] && slices.Contains(ofVolumes, objects.Text(u, "reason"))
	}
	return o.Namespace != "" && namespace == o.Namespace
}

// reduce makes an object of what is kept of one.
func (o *Objects) reduce(u *unstructured.Unstructured) map[string]any {
	small := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind()}
	keep(small, u.Object, "metadata.name", "metadata.namespace", "metadata.uid", "metadata.creationTimestamp", "metadata.deletionTimestamp", "metadata.generation")
	keep(small, u.Object, kept[u.GetKind()]...)
	switch u.GetKind() {
	case "StorageClass":
		for name := range stringsOf(small, "parameters") {
			if strings.Contains(name, "secret") {
				unstructured.RemoveNestedField(small, "parameters", name)
			}
		}
	case "CSINode":
		drivers := slices.DeleteFunc(objects.Maps(u, "spec", "drivers"), func(d map[string]any) bool { return d["name"] != o.Driver })
		small["spec"] = map[string]any{"drivers": drivers}
	case "Deployment", "DaemonSet":
		keep(small, u.Object, "spec.replicas", "spec.updateStrategy", "spec.strategy", "status")
		template, _, _ := unstructured.NestedMap(u.Object, "spec", "template", "spec")
		_ = unstructured.SetNestedField(small, ownPodSpec(template), "spec", "template", "spec")
	case "Pod":
		o.reducePod(small, u)
	}
	return small
}
