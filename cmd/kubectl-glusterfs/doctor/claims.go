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
)

// claims looks for those that wait for a volume, and says why.
func (o *Objects) claims() []answers.Finding {
	const check = "claim"
	var found []answers.Finding
	for _, u := range o.byKind["PersistentVolumeClaim"] {
		class := o.classOf(u)
		if objects.Text(u, "spec", "volumeMode") == "Block" && class != nil {
			found = append(found, answers.Fault(check, name(u), "volumeMode Block is not offered: a volume is a directory", recreate(u)))
			continue
		}
		switch phase := objects.Text(u, "status", "phase"); {
		case phase == "Lost" && class != nil:
			found = append(found, answers.Fault(check, name(u), "its PersistentVolume "+objects.Text(u, "spec", "volumeName")+" is gone", "kubectl glusterfs recover -n "+u.GetNamespace()+" --apply"))
		case phase == "Lost" && !o.hasClass(objects.Text(u, "spec", "storageClassName")) && !o.isOfAnother(u):
			found = append(found, answers.Fault(check, name(u), "its PersistentVolume "+objects.Text(u, "spec", "volumeName")+" is gone",
				"kubectl get pv; the claim stays, and the PersistentVolume is made again: docs/recover.md"))
		case phase == "Pending" && class != nil:
			found = append(found, o.pending(u, class))
		case phase == "Pending" && objects.Text(u, "spec", "storageClassName") != "" && objects.Text(u, "spec", "volumeName") == "" && !o.hasClass(objects.Text(u, "spec", "storageClassName")):
			found = append(found, answers.Fault(check, name(u), "Pending: there is no StorageClass "+objects.Text(u, "spec", "storageClassName"), "kubectl get storageclass; the class of a claim cannot be changed: "+recreate(u)))
		}
	}
	return found
}

func recreate(u *unstructured.Unstructured) string {
	return fmt.Sprintf("kubectl -n %s delete pvc %s, and make it anew", u.GetNamespace(), u.GetName())
}

func (o *Objects) hasClass(name string) bool {
	return slices.ContainsFunc(o.byKind["StorageClass"], func(c *unstructured.Unstructured) bool { return c.GetName() == name })
}

// isOfAnother says that another driver has made the volume of a claim.
func (o *Objects) isOfAnother(claim *unstructured.Unstructured) bool {
	by := claim.GetAnnotations()
	driver := cmp.Or(by["volume.kubernetes.io/storage-provisioner"], by["volume.beta.kubernetes.io/storage-provisioner"], o.Driver)
	return driver != o.Driver
}

// classOf is the class of a claim if it is the driver's.
func (o *Objects) classOf(claim *unstructured.Unstructured) *unstructured.Unstructured {
	for _, c := range o.byKind["StorageClass"] {
		if c.GetName() == objects.Text(claim, "spec", "storageClassName") && objects.Text(c, "provisioner") == o.Driver {
			return c
		}
	}
	return nil
}

// pending says what the newest event says.
func (o *Objects) pending(claim, class *unstructured.Unstructured) answers.Finding {
	const check = "claim"
	describe := fmt.Sprintf("kubectl -n %s describe pvc %s", claim.GetNamespace(), claim.GetName())
	if objects.Text(class, "volumeBindingMode") == "WaitForFirstConsumer" && claim.GetAnnotations()["volume.kubernetes.io/selected-node"] == "" {
		return answers.Well(check, name(claim), "Pending until a pod uses it, as its class says")
	}
	message, at := "", ""
	for _, e := range o.byKind["Event"] {
		isOf := objects.Text(e, "involvedObject", "uid") == string(claim.GetUID()) && objects.Text(e, "type") == "Warning"
		if when := objects.Text(e, "lastTimestamp"); isOf && when >= at {
			message, at = objects.Text(e, "message"), when
		}
	}
	if message == "" {
		return answers.Warned(check, name(claim), "Pending, and nobody says why: it is new, or no controller runs", describe)
	}
	return answers.Fault(check, name(claim), "Pending: "+message, describe)
}

// pods looks for those that name a claim which is not in their namespace, and for what no volume can do.
func (o *Objects) pods() []answers.Finding {
	var found []answers.Finding
	where := map[string][]string{} // namespaces, by the name of a claim
	for _, c := range o.byKind["PersistentVolumeClaim"] {
		where[c.GetName()] = append(where[c.GetName()], c.GetNamespace())
	}
	for _, u := range o.byKind["Pod"] {
		if phase := objects.Text(u, "status", "phase"); phase == "Succeeded" || phase == "Failed" {
			continue
		}
		for _, v := range objects.Maps(u, "spec", "volumes") {
			claim, _, _ := unstructured.NestedString(v, "persistentVolumeClaim", "claimName")
			if claim == "" {
				continue
			}
			if !slices.Contains(where[claim], u.GetNamespace()) {
				found = append(found, o.missing(u, claim, where[claim]))
			} else if hostUsers, said, _ := unstructured.NestedBool(u.Object, "spec", "hostUsers"); said && !hostUsers && o.isOurs(u.GetNamespace(), claim) {
				found = append(found, answers.Fault("pod", name(u), "hostUsers: false cannot be with a volume on GlusterFS: the kernel refuses idmapped mounts of it (`failed to set MOUNT_ATTR_IDMAP`)",
					"remove hostUsers: false from its template"))
			}
		}
	}
	return found
}

func (o *Objects) missing(pod *unstructured.Unstructured, claim string, elsewhere []string) answers.Finding {
	message := fmt.Sprintf("Pending: persistentvolumeclaim %q not found in namespace %s", claim, pod.GetNamespace())
	cure := fmt.Sprintf("if it was deleted: kubectl glusterfs undelete %s -n %s", claim, pod.GetNamespace())
	if len(elsewhere) > 0 {
		message += "; there is one in " + strings.Join(elsewhere, ", ") + ", which no pod of another namespace can use"
		cure = fmt.Sprintf("kubectl -n %s get pvc %s -o yaml shows how it was made: make one like it in %s, with a class of the driver", elsewhere[0], claim, pod.GetNamespace())
	}
	return answers.Fault("pod", name(pod), message, cure)
}

func (o *Objects) isOurs(namespace, claim string) bool {
	for _, c := range o.byKind["PersistentVolumeClaim"] {
		if c.GetNamespace() != namespace || c.GetName() != claim {
			continue
		}
		for _, pv := range o.byKind["PersistentVolume"] {
			if pv.GetName() == objects.Text(c, "spec", "volumeName") {
				return objects.Text(pv, "spec", "csi", "driver") == o.Driver
			}
		}
	}
	return false
}
