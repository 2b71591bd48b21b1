// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
)

// judgePV is of a volume that has a PersistentVolume here.
func (f *Found) judgePV(t *Target, pv *unstructured.Unstructured) {
	t.Name = pv.GetName()
	t.Class, t.Policy = objects.Text(pv, "spec", "storageClassName"), objects.Text(pv, "spec", "persistentVolumeReclaimPolicy")
	claim := objects.Text(pv, "spec", "claimRef", "namespace") + "/" + objects.Text(pv, "spec", "claimRef", "name")
	differences := t.differences(pv)
	switch {
	case pv.GetDeletionTimestamp() != nil:
		t.block("PersistentVolume "+t.Name+" is being deleted", "repeat in a moment; if it stays: kubectl describe pv "+t.Name)
	case claim == "/":
		t.differ("PersistentVolume "+t.Name+" has this volume, and is for no claim", "kubectl get pv "+t.Name)
	case claim != t.String():
		t.differ("PersistentVolume "+t.Name+" has this volume, and is for the claim "+claim, "kubectl get pv "+t.Name)
	case len(differences) > 0:
		t.differ("PersistentVolume "+t.Name+" is not as the record says: "+strings.Join(differences, "; "), "kubectl get pv "+t.Name+" -o yaml")
	default:
		f.judgeClaimOf(t, pv)
	}
}

// judgeClaimOf is of a volume whose PersistentVolume is as it should be.
func (f *Found) judgeClaimOf(t *Target, pv *unstructured.Unstructured) {
	uid := objects.Text(pv, "spec", "claimRef", "uid")
	have := f.Claims[t.String()]
	switch {
	case have != nil && (uid != "" && uid == string(have.GetUID()) || uid == "" && isFor(have, t.Name)):
		t.State = There
		if policy := pv.GetAnnotations()[policyAnnotation]; policy != "" && t.Policy == retain {
			t.State, t.Missing, t.Policy = Missing, []string{policyKind}, policy
		}
	case have != nil:
		t.differAsClaim(have)
	case uid != "":
		t.block("its claim was deleted in this cluster, and PersistentVolume "+t.Name+" is kept", fmt.Sprintf("if it is wanted: kubectl glusterfs undelete %s -n %s", t.Claim, t.Namespace))
	case f.Namespaces[t.Namespace] == nil:
		t.State, t.Missing = Missing, []string{namespaceKind, claimKind}
	default:
		t.State, t.Missing = Missing, []string{claimKind}
	}
}

// isFor says that a claim names a PersistentVolume, or is to be bound to whatever is for it.
func isFor(claim *unstructured.Unstructured, volume string) bool {
	name := objects.Text(claim, "spec", "volumeName")
	return name == volume || name == "" && objects.Text(claim, "status", "phase") == "Pending"
}

// differences are those of a PersistentVolume and what the record says: size, access modes, mount options, attributes. Class and
// policy are this cluster's own.
func (t *Target) differences(pv *unstructured.Unstructured) []string {
	var found []string
	say := func(what string, is, wanted any) {
		found = append(found, fmt.Sprintf("its %s %v, not %v", what, is, wanted))
	}
	size := objects.Text(pv, "spec", "capacity", "storage")
	if have, err := resource.ParseQuantity(size); err != nil || have.Value() != max(t.Capacity, 1) {
		say("capacity is", size, t.wanted.Size())
	}
	modes, _, _ := unstructured.NestedStringSlice(pv.Object, "spec", "accessModes")
	if want := t.wanted.AccessModes(); !slices.Equal(slices.Sorted(slices.Values(modes)), slices.Sorted(slices.Values(want))) {
		say("access modes are", modes, want)
	}
	if m := t.wanted.MadeFor; m != nil {
		options, _, _ := unstructured.NestedStringSlice(pv.Object, "spec", "mountOptions")
		if !slices.Equal(options, m.MountOptions) {
			say("mount options are", options, m.MountOptions)
		}
	}
	attributes, _, _ := unstructured.NestedStringMap(pv.Object, "spec", "csi", "volumeAttributes")
	for _, name := range slices.Sorted(maps.Keys(t.wanted.Attributes)) {
		if want := t.wanted.Attributes[name]; attributes[name] != want {
			say("volumeAttribute "+name+" is", attributes[name], want)
		}
	}
	return found
}
