// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Cluster is what a cluster has that volumes need.
type Cluster struct {
	Driver string // its name in CSI

	PVs        []unstructured.Unstructured
	Claims     map[string]*unstructured.Unstructured // by namespace/name
	Namespaces map[string]*unstructured.Unstructured
	Classes    []unstructured.Unstructured
}

// ReadCluster reads it.
func ReadCluster(ctx context.Context, client dynamic.Interface, driver string) (Cluster, error) {
	c := Cluster{Driver: driver, Claims: map[string]*unstructured.Unstructured{}, Namespaces: map[string]*unstructured.Unstructured{}}
	for _, kind := range []struct {
		resource schema.GroupVersionResource
		add      func(u unstructured.Unstructured)
	}{
		{Volumes, func(u unstructured.Unstructured) { c.PVs = append(c.PVs, u) }},
		{Claims, func(u unstructured.Unstructured) { c.Claims[Key(&u)] = &u }},
		{Namespaces, func(u unstructured.Unstructured) { c.Namespaces[u.GetName()] = &u }},
		{Classes, func(u unstructured.Unstructured) { c.Classes = append(c.Classes, u) }},
	} {
		if err := Each(ctx, client, kind.resource, kind.add); err != nil {
			return Cluster{}, err
		}
	}
	return c, nil
}

// Key is namespace and name.
func Key(u *unstructured.Unstructured) string { return u.GetNamespace() + "/" + u.GetName() }
