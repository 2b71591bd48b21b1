// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const driver = "glusterfs.csi.gluster.org"

var (
	wanted  = Wanted{Namespace: "shop", Claims: []string{"data"}}
	madeFor = &answers.MadeFor{Namespace: "shop", Claim: "data", Class: "glusterfs"}
)

// newCluster is an API server with a namespace, a class, and these.
func newCluster(all ...runtime.Object) *fake.FakeDynamicClient {
	object := func(apiVersion, kind, name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}, "provisioner": driver}}
	}
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		objects.Volumes: "PersistentVolumeList", objects.Claims: "PersistentVolumeClaimList", objects.Namespaces: "NamespaceList", objects.Classes: "StorageClassList",
	}, append(all, object("v1", "Namespace", "shop"), object("storage.k8s.io/v1", "StorageClass", "glusterfs"))...)
}

// bound are pvc-1, which the class's reclaim policy deletes, and its claim.
func bound() (pv, claim *unstructured.Unstructured) {
	v := objects.Volume{Driver: driver, Handle: "pi/gv0/pvc-1", Name: "pvc-1", Namespace: "shop", Claim: "data", ClaimUID: "1", Class: "glusterfs", Policy: "Delete"}
	pv = v.PersistentVolume()
	claim = v.ClaimOf(pv)
	claim.SetUID("1")
	return pv, claim
}

// one is the only target of a plan.
func one(t *testing.T, plan []*Target) *Target {
	t.Helper()
	if len(plan) != 1 {
		t.Fatalf("%d targets", len(plan))
	}
	return plan[0]
}

// TestWhatIsDeletedMeanwhileIsNotMadeAgain: the provisioner deletes a volume first, and then its PersistentVolume.
func TestWhatIsDeletedMeanwhileIsNotMadeAgain(t *testing.T) {
	pv, claim := bound()
	client := newCluster(pv, claim)
	read, err := Read(t.Context(), client, func(ctx context.Context, args ...string) ([]byte, error) {
		if args[0] != "volume" {
			return []byte("[]"), nil
		}
		text, err := json.Marshal([]answers.Volume{{ID: "pi/gv0/pvc-1", Name: "pvc-1", MadeFor: madeFor}})
		return text, errors.Join(err, client.Resource(objects.Claims).Namespace("shop").Delete(ctx, "data", metav1.DeleteOptions{}),
			client.Resource(objects.Volumes).Delete(ctx, "pvc-1", metav1.DeleteOptions{}))
	}, driver)
	if err != nil {
		t.Fatal(err)
	}
	if target := one(t, read.Plan(wanted)); target.State != There {
		t.Errorf("%s: %s", target.State, target.Reason)
	}
}

// TestWhatAnotherBringsBackMeanwhileIsNotGone: another process moves the data back between the two lists.
func TestWhatAnotherBringsBackMeanwhileIsNotGone(t *testing.T) {
	lists := map[string]any{"trash": []answers.TrashEntry{{Entry: "pi/gv0/pvc-1.2026", Volume: "pi/gv0/pvc-1", Name: "pvc-1", MadeFor: madeFor}}, "volume": []answers.Volume{}}
	read, err := Read(t.Context(), newCluster(), func(_ context.Context, args ...string) ([]byte, error) {
		text, err := json.Marshal(lists[args[0]])
		lists["trash"], lists["volume"] = []answers.TrashEntry{}, []answers.Volume{{ID: "pi/gv0/pvc-1", Name: "pvc-1", MadeFor: madeFor}}
		return text, err
	}, driver)
	if err != nil {
		t.Fatal(err)
	}
	if target := one(t, read.Plan(wanted)); target.State != Ready {
		t.Errorf("%s: %s", target.State, target.Reason)
	}
}

// TestWhatIsBeingDeletedIsNotGone: the claim is gone, the provisioner has not come to its PersistentVolume yet, and what is in the trash is
// older. It is the same where the claim came from there.
func TestWhatIsBeingDeletedIsNotGone(t *testing.T) {
	older := answers.TrashEntry{Entry: "pi/gv0/pvc-0.2026", Volume: "pi/gv0/pvc-0", Name: "pvc-0", Deleted: time.Now(), MadeFor: madeFor}
	for name, entries := range map[string][]answers.TrashEntry{"it alone": nil, "one that is older": {older}} {
		for _, from := range []string{"", "pi/gv0/pvc-1.2025"} {
			pv, _ := bound()
			pv.Object["status"] = map[string]any{"phase": "Released"}
			if from != "" {
				pv.SetAnnotations(map[string]string{Annotation: from})
			}
			found := &Found{Entries: entries, Volumes: []answers.Volume{{ID: "pi/gv0/pvc-1", Name: "pvc-1", MadeFor: madeFor}}}
			var err error
			if found.Cluster, err = objects.ReadCluster(t.Context(), newCluster(pv), driver); err != nil {
				t.Fatal(err)
			}
			for _, w := range []Wanted{wanted, {Namespace: "shop", Since: time.Now().Add(-time.Hour)}} {
				if target := one(t, found.Plan(w)); target.State != Blocked || !strings.Contains(target.Reason, "PersistentVolume pvc-1 is still being deleted") {
					t.Errorf("%s, from %q: %s: %s", name, from, target.State, target.Reason)
				}
			}
			byEntry := wanted
			byEntry.Entry = older.Entry
			if target := one(t, found.Plan(byEntry)); len(entries) > 0 && target.State != Ready {
				t.Errorf("%s, by its name: %s: %s", name, target.State, target.Reason)
			}
		}
	}
}
