// SPDX-License-Identifier: Apache-2.0

// Package doctor looks at the objects of a cluster, or of files before the driver is installed, for what keeps volumes on
// GlusterFS from working, and says how it is cured. What is to be seen on nodes and on Gluster volumes the driver's own
// pods are asked for.
package doctor

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// Objects are those of a cluster, or of files, by kind.
type Objects struct {
	Driver    string // its name in CSI
	Namespace string // the driver's, or ""
	Before    bool   // the driver is not installed yet
	byKind    map[string][]*unstructured.Unstructured
}

// Add adds an object. Lists are taken apart.
func (o *Objects) Add(content map[string]any) {
	u := &unstructured.Unstructured{Object: content}
	if u.IsList() {
		for _, item := range objects.Maps(u, "items") {
			o.Add(item)
		}
		return
	}
	if o.byKind == nil {
		o.byKind = map[string][]*unstructured.Unstructured{}
	}
	o.byKind[u.GetKind()] = append(o.byKind[u.GetKind()], u)
	if u.GetKind() == "ConfigMap" && u.GetName() == migrate.ClustersConfigMap {
		o.Namespace = u.GetNamespace()
	}
}

// Check looks at all of them.
func (o *Objects) Check() []answers.Finding {
	file, clusters := o.clustersFile()
	found := slices.Concat(o.installation(), []answers.Finding{file}, o.classes(clusters), o.volumes(clusters), o.oldVolumes(), o.claims(), o.pods())
	return slices.DeleteFunc(found, func(f answers.Finding) bool { return f.Check == "" })
}

func (o *Objects) clustersFile() (answers.Finding, *gluster.Clusters) {
	const check = "clusters-file"
	for _, u := range o.byKind["ConfigMap"] {
		if u.GetName() != migrate.ClustersConfigMap {
			continue
		}
		about := "configmap " + u.GetNamespace() + "/" + u.GetName()
		content := objects.Text(u, "data", migrate.ClustersKey)
		clusters, err := gluster.ParseClusters([]byte(content))
		if err != nil {
			return answers.Fault(check, about, err.Error(), "kubectl -n "+u.GetNamespace()+" edit configmap "+u.GetName()), nil
		}
		return answers.Well(check, about, "it is valid"), clusters
	}
	return answers.Fault(check, "configmap "+migrate.ClustersConfigMap, "no namespace has it: the driver is not installed, or its list of servers is gone", o.install("")), nil
}

func number(u *unstructured.Unstructured, path ...string) int64 {
	value, _, _ := unstructured.NestedInt64(u.Object, path...)
	return value
}

func name(u *unstructured.Unstructured) string {
	if u.GetNamespace() == "" {
		return strings.ToLower(u.GetKind()) + " " + u.GetName()
	}
	return strings.ToLower(u.GetKind()) + " " + u.GetNamespace() + "/" + u.GetName()
}
