// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// parameters are what a class of the driver may say; docs/parameters.md lists the same.
var parameters = []string{"cluster", "volume", "path", "uid", "gid", "mode", "onDelete", "quota", "consistency", "onClientDeath"}

// classes looks at the StorageClasses of the driver. clusters is nil where the clusters file is not known.
func (o *Objects) classes(clusters *gluster.Clusters) []answers.Finding {
	const check = "storageclass"
	var found []answers.Finding
	seen := 0
	for _, u := range o.byKind["StorageClass"] {
		if objects.Text(u, "provisioner") != o.Driver {
			continue
		}
		seen++
		values, _, _ := unstructured.NestedStringMap(u.Object, "parameters")
		wrong := len(found)
		for key := range values {
			if !strings.Contains(key, "/") && !slices.Contains(parameters, key) {
				found = append(found, answers.Fault(check, u.GetName(), fmt.Sprintf("it has the parameter %s, which does not exist: its claims stay Pending. There are %s", key, strings.Join(parameters, ", ")), again(u)))
			}
		}
		if clusters != nil {
			if _, err := clusters.Choose(values["cluster"], values["volume"]); err != nil {
				found = append(found, answers.Fault(check, u.GetName(), err.Error()+": its claims stay Pending", again(u)))
			}
		}
		if wrong == len(found) {
			found = append(found, answers.Well(check, u.GetName(), "its parameters are good"))
		}
	}
	if seen == 0 {
		found = append(found, answers.Warned(check, o.Driver, "no StorageClass is of the driver: nobody can ask for a volume", o.install("kubectl apply -f deploy/kubernetes/base/storageclass.yaml")))
	}
	return found
}

// again is how a class is changed, whose parameters never are.
func again(class *unstructured.Unstructured) string {
	n := class.GetName()
	return fmt.Sprintf("kubectl get storageclass %s -o yaml > %s.yaml; correct it there; kubectl replace --force -f %s.yaml (volumes are not touched)", n, n, n)
}

// volumes looks at the PersistentVolumes of the driver.
func (o *Objects) volumes(clusters *gluster.Clusters) []answers.Finding {
	const check = "persistentvolume"
	var found []answers.Finding
	for _, u := range o.byKind["PersistentVolume"] {
		if objects.Text(u, "spec", "csi", "driver") != o.Driver {
			continue
		}
		parts := strings.Split(objects.Text(u, "spec", "csi", "volumeHandle"), "/")
		modes, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "accessModes")
		switch {
		case len(parts) != 3:
			found = append(found, answers.Fault(check, u.GetName(), "its volumeHandle is not <cluster>/<gluster volume>/<name>", "kubectl get pv "+u.GetName()+" -o yaml; make it anew"))
		case clusters != nil && unknown(clusters, parts) != nil:
			found = append(found, answers.Fault(check, u.GetName(), unknown(clusters, parts).Error(), "kubectl -n "+o.Namespace+" edit configmap glusterfs-csi-clusters"))
		case len(modes) > 1 && modes[0] == "ReadOnlyMany":
			found = append(found, answers.Warned(check, u.GetName(), "kubelet passes the first access mode alone, and it is ReadOnlyMany: nobody can write", "make it anew with the writable mode first"))
		case objects.Text(u, "spec", "csi", "volumeAttributes", "path") == "/":
			found = append(found, answers.Warned(check, u.GetName(), "it is the whole of the Gluster volume: its pods see the volumes of all others", "a claim of a StorageClass has a directory of its own: docs/migrate.md"))
		case objects.Text(u, "status", "phase") == "Failed":
			found = append(found, answers.Fault(check, u.GetName(), "it is Failed: "+objects.Text(u, "status", "message"), "kubectl describe pv "+u.GetName()))
		}
	}
	return found
}

func unknown(clusters *gluster.Clusters, parts []string) error {
	_, err := clusters.Find(gluster.Volume{Cluster: parts[0], Name: parts[1]})
	return err
}

// oldVolumes are those of the plugin that Kubernetes 1.26 removed.
func (o *Objects) oldVolumes() []answers.Finding {
	var old []string
	for _, u := range o.byKind["PersistentVolume"] {
		if _, is, _ := unstructured.NestedMap(u.Object, "spec", "glusterfs"); is {
			old = append(old, u.GetName())
		}
	}
	if len(old) == 0 {
		return nil
	}
	slices.Sort(old)
	old = slices.Compact(old) // files may have one twice
	return []answers.Finding{answers.Fault("in-tree", "persistentvolume "+strings.Join(old, ", "), "of the plugin that Kubernetes 1.26 removed: pods say `no volume plugin matched`", "kubectl glusterfs migrate")}
}
