// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const isDefaultClass = "storageclass.kubernetes.io/is-default-class"

// Class is the StorageClass of a volume, and what it says of the volume.
type Class struct {
	Name   string // "" for none
	Policy string // the PersistentVolume's
	Note   string // what a person should know of the choice; "" for nothing
	// Missing is the name of the class that it is to be, and that is not there; "" where it is.
	Missing string
}

// ClassFor finds the class that a volume was made with: the one that is said here by name, or the one that the record
// names, and no other in its place, which might delete what that one keeps; or, as older records name none, the one
// that says the same; of several alike the default one.
func ClassFor(classes []unstructured.Unstructured, driver string, m *answers.MadeFor, said string) Class {
	name := said
	if name == "" && m != nil {
		name = m.Class
	}
	var alike []*unstructured.Unstructured
	for i := range classes {
		class := &classes[i]
		isOurs := Text(class, "provisioner") == driver
		switch {
		case name != "":
			if class.GetName() == name && (isOurs || said != "") {
				alike = append(alike, class)
			}
		case isOurs && saysTheSame(class, m):
			alike = append(alike, class)
		}
	}
	if len(alike) == 0 && name != "" {
		return Class{Policy: "Retain", Missing: name}
	}
	return choose(alike)
}

// choose takes one of the classes that are as the one that is looked for.
func choose(alike []*unstructured.Unstructured) Class {
	if len(alike) == 0 {
		return Class{Policy: "Retain", Note: "no StorageClass is as the one that it was made with, so it gets none and is kept when the claim is deleted; --storage-class names one"}
	}
	rank := func(class *unstructured.Unstructured) int {
		if class.GetAnnotations()[isDefaultClass] == "true" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(alike, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	chosen := Class{Name: alike[0].GetName(), Policy: Text(alike[0], "reclaimPolicy")}
	if chosen.Policy == "" {
		chosen.Policy = "Delete" // Kubernetes' default
	}
	if len(alike) > 1 {
		chosen.Note = fmt.Sprintf("%d StorageClasses are as the one that it was made with: %s is taken; --storage-class names another", len(alike), chosen.Name)
	}
	return chosen
}

func saysTheSame(class *unstructured.Unstructured, m *answers.MadeFor) bool {
	if m == nil {
		return false
	}
	parameters, _, _ := unstructured.NestedStringMap(class.Object, "parameters")
	maps.DeleteFunc(parameters, func(key, _ string) bool { return strings.Contains(key, "/") })
	options, _, _ := unstructured.NestedStringSlice(class.Object, "mountOptions")
	return maps.Equal(parameters, m.Parameters) && slices.Equal(options, m.MountOptions)
}
