// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	provisionedBy  = "pv.kubernetes.io/provisioned-by" // the provisioner deletes what has its name here
	isDefaultClass = "storageclass.kubernetes.io/is-default-class"
)

// setClass finds the class that the volume was made with: the one that says the same. No request names it.
func (f *Found) setClass(t *Target, said string) {
	if t.From.pv != nil {
		t.Class, t.Policy = text(t.From.pv, "spec", "storageClassName"), text(t.From.pv, "spec", "persistentVolumeReclaimPolicy")
		return
	}
	var alike []*unstructured.Unstructured
	for i := range f.classes {
		class := &f.classes[i]
		isAlike := said == "" && text(class, "provisioner") == f.Driver && saysTheSame(class, t.From)
		if isAlike || said != "" && class.GetName() == said {
			alike = append(alike, class)
		}
	}
	t.Policy = "Retain"
	switch {
	case len(alike) == 0 && said != "":
		t.block("there is no StorageClass "+said, "kubectl get storageclass")
	case len(alike) == 0:
		t.Notes = append(t.Notes, "no StorageClass is as the one that it was made with, so it gets none and is kept when the claim is deleted; --storage-class names one")
	default:
		slices.SortStableFunc(alike, func(a, b *unstructured.Unstructured) int {
			return strings.Compare(b.GetAnnotations()[isDefaultClass], a.GetAnnotations()[isDefaultClass])
		})
		t.Class, t.Policy = alike[0].GetName(), text(alike[0], "reclaimPolicy")
		if t.Policy == "" {
			t.Policy = "Delete" // Kubernetes' default
		}
	}
	if len(alike) > 1 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d StorageClasses are as the one that it was made with: %s is taken; --storage-class names another", len(alike), t.Class))
	}
}

func saysTheSame(class *unstructured.Unstructured, c *Candidate) bool {
	if c.madeFor == nil {
		return false
	}
	parameters, _, _ := unstructured.NestedStringMap(class.Object, "parameters")
	maps.DeleteFunc(parameters, func(key, _ string) bool { return strings.Contains(key, "/") })
	options, _, _ := unstructured.NestedStringSlice(class.Object, "mountOptions")
	return maps.Equal(parameters, c.madeFor.Parameters) && slices.Equal(options, c.madeFor.MountOptions)
}

// persistentVolume is for the target's claim alone.
func (f *Found) persistentVolume(t *Target) *unstructured.Unstructured {
	c := t.From
	spec := map[string]any{
		"accessModes": anySlice(accessModes(c)), "capacity": map[string]any{"storage": size(c)},
		"persistentVolumeReclaimPolicy": t.Policy, "storageClassName": t.Class, "volumeMode": "Filesystem",
		"claimRef": map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": t.Namespace, "name": t.Claim},
		"csi":      map[string]any{"driver": f.Driver, "volumeHandle": c.Volume, "volumeAttributes": anyMap(c.attributes)},
	}
	if c.madeFor != nil && len(c.madeFor.MountOptions) > 0 {
		spec["mountOptions"] = anySlice(c.madeFor.MountOptions)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec,
		"metadata": map[string]any{"name": objectName(c), "annotations": map[string]any{Annotation: c.Entry, provisionedBy: f.Driver}},
	}}
}

// claim names the PersistentVolume, and asks for what that has.
func claim(t *Target, pv *unstructured.Unstructured) *unstructured.Unstructured {
	modes, _, _ := unstructured.NestedStringSlice(pv.Object, "spec", "accessModes")
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim",
		"metadata": map[string]any{"namespace": t.Namespace, "name": t.Claim, "annotations": map[string]any{Annotation: t.From.Entry}},
		"spec": map[string]any{
			"accessModes": anySlice(modes), "volumeMode": "Filesystem", "volumeName": pv.GetName(),
			"storageClassName": text(pv, "spec", "storageClassName"),
			"resources":        map[string]any{"requests": map[string]any{"storage": text(pv, "spec", "capacity", "storage")}},
		},
	}}
}

// accessModes of volumes of drivers that did not record them are the one that fits every pod.
func accessModes(c *Candidate) []string {
	if c.madeFor == nil || len(c.madeFor.AccessModes) == 0 {
		return []string{"ReadWriteMany"}
	}
	return c.madeFor.AccessModes
}

// size is as exact as the record, and not 0, which Kubernetes refuses.
func size(c *Candidate) string {
	return resource.NewQuantity(max(c.Capacity, 1), resource.BinarySI).String()
}

// dnsName is what the name of an object is (RFC 1123 subdomain).
var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// objectName is the PersistentVolume's: the name in CSI, which external-provisioner has given it, else the volume's ID.
func objectName(c *Candidate) string {
	id := c.Volume[strings.LastIndex(c.Volume, "/")+1:]
	for _, name := range []string{c.Name, strings.ToLower(id)} {
		if len(name) <= 253 && dnsName.MatchString(name) {
			return name
		}
	}
	return "undeleted"
}

func anySlice(list []string) []any {
	all := []any{}
	for _, item := range list {
		all = append(all, item)
	}
	return all
}

func anyMap(values map[string]string) map[string]any {
	all := map[string]any{}
	for key, value := range values {
		all[key] = value
	}
	return all
}
