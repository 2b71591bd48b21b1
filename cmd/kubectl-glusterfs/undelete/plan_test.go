// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// TestAClaimWhoseClassIsGoneIsNotBroughtBackWithAnother, which says the same: nobody can change the class of a claim
// afterwards.
func TestAClaimWhoseClassIsGoneIsNotBroughtBackWithAnother(t *testing.T) {
	alike, namespace := unstructured.Unstructured{Object: map[string]any{"provisioner": driver}}, &unstructured.Unstructured{Object: map[string]any{}}
	alike.SetName("alike")
	f := &Found{
		Cluster: objects.Cluster{Driver: driver, Classes: []unstructured.Unstructured{alike}, Namespaces: map[string]*unstructured.Unstructured{"shop": namespace}},
		Entries: []answers.TrashEntry{{Entry: "pi/gv0/x", Volume: "pi/gv0/pvc-1", Name: "pvc-1", MadeFor: &answers.MadeFor{Namespace: "shop", Claim: "data", Class: "gone"}}},
	}
	plan := f.Plan(Wanted{Namespace: "shop", Claims: []string{"data"}})
	if len(plan) != 1 || plan[0].State != Blocked || !strings.Contains(plan[0].Reason, "no StorageClass gone") || !strings.Contains(plan[0].Cure, "--storage-class") {
		t.Errorf("%+v", plan[0])
	}
	if plan := f.Plan(Wanted{Namespace: "shop", Claims: []string{"data"}, Class: "alike"}); plan[0].State != Ready || plan[0].Class != "alike" {
		t.Errorf("with another, as was said: %+v", plan[0])
	}
}
