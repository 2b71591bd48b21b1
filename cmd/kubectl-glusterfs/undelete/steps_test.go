// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// TestAPersistentVolumeOfAnotherClaimBecomesThisOnes: with --entry; one that was retained, and one that was begun for the
// other claim. The volume binder looks at the name.
func TestAPersistentVolumeOfAnotherClaimBecomesThisOnes(t *testing.T) {
	for name, isBegun := range map[string]bool{"retained": false, "begun": true} {
		pv, _ := bound()
		if isBegun {
			pv.SetAnnotations(map[string]string{Annotation: "pi/gv0/pvc-1"})
			unstructured.RemoveNestedField(pv.Object, "spec", "claimRef", "uid")
		}
		client := newCluster(pv)
		found := &Found{Volumes: []answers.Volume{{ID: "pi/gv0/pvc-1", Name: "pvc-1"}}}
		var err error
		if found.Cluster, err = objects.ReadCluster(t.Context(), client, driver); err != nil {
			t.Fatal(err)
		}
		target := one(t, found.Plan(Wanted{Namespace: "shop", Claims: []string{"copy"}, Entry: "pi/gv0/pvc-1"}))
		d := &Doer{Client: client, Found: found, Say: t.Logf}
		if err := d.Do(t.Context(), target); err != nil {
			t.Fatal(name, err)
		}
		freed, err := client.Resource(objects.Volumes).Get(t.Context(), "pvc-1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		reference, _, _ := unstructured.NestedStringMap(freed.Object, "spec", "claimRef")
		if reference["namespace"] != "shop" || reference["name"] != "copy" || reference["uid"] != "" {
			t.Errorf("%s: it is for %v", name, reference)
		}
	}
}
