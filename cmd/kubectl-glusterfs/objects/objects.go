// SPDX-License-Identifier: Apache-2.0

// Package objects makes a volume's objects in Kubernetes, PersistentVolume and claim, of what its record says, and reads
// those that there are.
package objects

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// The kinds.
var (
	Volumes    = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	Claims     = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	Namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	Classes    = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
)

const provisionedBy = "pv.kubernetes.io/provisioned-by" // the provisioner deletes what has its name here

// Volume is what a volume is to be in Kubernetes.
type Volume struct {
	Driver     string // its name in CSI
	Handle     string // the volumeHandle
	Name       string // in CSI
	Capacity   int64  // bytes
	Attributes map[string]string
	MadeFor    *answers.MadeFor // nil where that is not known

	Namespace, Claim string // of the claim that it is for, and no other
	ClaimUID         string // of the claim that is there already; "" for none
	Class, Policy    string
	// Annotations are on both objects, Labels on the claim.
	Annotations, Labels map[string]string
}

// PersistentVolume is for the volume's claim alone.
func (v Volume) PersistentVolume() *unstructured.Unstructured {
	reference := map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": v.Namespace, "name": v.Claim}
	if v.ClaimUID != "" {
		reference["uid"] = v.ClaimUID
	}
	spec := map[string]any{
		"accessModes": anySlice(v.AccessModes()), "capacity": map[string]any{"storage": v.Size()},
		"persistentVolumeReclaimPolicy": v.Policy, "storageClassName": v.Class, "volumeMode": "Filesystem", "claimRef": reference,
		"csi": map[string]any{"driver": v.Driver, "volumeHandle": v.Handle, "volumeAttributes": anyMap(v.Attributes)},
	}
	if v.MadeFor != nil && len(v.MadeFor.MountOptions) > 0 {
		spec["mountOptions"] = anySlice(v.MadeFor.MountOptions)
	}
	annotations := anyMap(v.Annotations)
	annotations[provisionedBy] = v.Driver
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec,
		"metadata": map[string]any{"name": v.ObjectName(), "annotations": annotations},
	}}
}

// ClaimOf names a PersistentVolume, and asks for what that has.
func (v Volume) ClaimOf(pv *unstructured.Unstructured) *unstructured.Unstructured {
	modes, _, _ := unstructured.NestedStringSlice(pv.Object, "spec", "accessModes")
	metadata := map[string]any{"namespace": v.Namespace, "name": v.Claim}
	if len(v.Annotations) > 0 {
		metadata["annotations"] = anyMap(v.Annotations)
	}
	if len(v.Labels) > 0 {
		metadata["labels"] = anyMap(v.Labels)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
		"spec": map[string]any{
			"accessModes": anySlice(modes), "volumeMode": "Filesystem", "volumeName": pv.GetName(),
			"storageClassName": Text(pv, "spec", "storageClassName"),
			"resources":        map[string]any{"requests": map[string]any{"storage": Text(pv, "spec", "capacity", "storage")}},
		},
	}}
}

// AccessModes of volumes of drivers that did not record them are the one that fits every pod.
func (v Volume) AccessModes() []string {
	if v.MadeFor == nil || len(v.MadeFor.AccessModes) == 0 {
		return []string{"ReadWriteMany"}
	}
	return v.MadeFor.AccessModes
}

// Size is as exact as the record, and not 0, which Kubernetes refuses.
func (v Volume) Size() string {
	return resource.NewQuantity(max(v.Capacity, 1), resource.BinarySI).String()
}

// dnsName is what the name of an object is (RFC 1123 subdomain).
var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// ObjectName is the PersistentVolume's: the name in CSI, which external-provisioner has given it, else the volume's ID.
func (v Volume) ObjectName() string { return NameFor(v.Name, v.Handle, "undeleted") }

// NameFor is the name of an object: one in CSI, or the ID in a handle, or what is left to say.
func NameFor(name, handle, otherwise string) string {
	id := handle[strings.LastIndex(handle, "/")+1:]
	for _, name := range []string{name, strings.ToLower(id)} {
		if len(name) <= 253 && dnsName.MatchString(name) {
			return name
		}
	}
	return otherwise
}

// Each calls a function with each object of a kind, in whatever namespace.
func Each(ctx context.Context, client dynamic.Interface, kind schema.GroupVersionResource, add func(unstructured.Unstructured)) error {
	all, err := List(ctx, client, kind, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list %s: %w", kind.Resource, err)
	}
	for _, item := range all {
		add(item)
	}
	return nil
}

// List reads all pages of a list.
func List(ctx context.Context, client dynamic.Interface, kind schema.GroupVersionResource, options metav1.ListOptions) ([]unstructured.Unstructured, error) {
	return ListShortened(ctx, client, kind, options, func(*unstructured.Unstructured) {})
}

// ListShortened is List for kinds of which there may be more than fits into memory: each object is made shorter as it comes.
func ListShortened(ctx context.Context, client dynamic.Interface, kind schema.GroupVersionResource, options metav1.ListOptions, shorten func(*unstructured.Unstructured)) (all []unstructured.Unstructured, err error) {
	options.Limit = 500
	for {
		page, err := client.Resource(kind).List(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			all, options.Continue = nil, "" // from the start: a page of an older state is gone
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			shorten(&page.Items[i])
		}
		all = append(all, page.Items...)
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return all, nil
		}
	}
}

// Text is a field of an object, "" where it is not there.
func Text(u *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(u.Object, path...)
	return value
}

// Maps are the items of a list of objects within one.
func Maps(u *unstructured.Unstructured, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(u.Object, path...)
	var found []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			found = append(found, m)
		}
	}
	return found
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
