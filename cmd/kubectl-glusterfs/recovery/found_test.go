// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// cluster is an API server's objects of a Found.
func cluster(f *Found) *fake.FakeDynamicClient {
	var all []runtime.Object
	for i := range f.PVs {
		all = append(all, f.PVs[i].DeepCopy())
	}
	for i := range f.Classes {
		f.Classes[i].SetAPIVersion("storage.k8s.io/v1")
		all = append(all, f.Classes[i].DeepCopy())
	}
	for _, claim := range f.Claims {
		all = append(all, claim.DeepCopy())
	}
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		objects.Volumes: "PersistentVolumeList", objects.Claims: "PersistentVolumeClaimList", objects.Namespaces: "NamespaceList", objects.Classes: "StorageClassList",
		snapshotContents: "VolumeSnapshotContentList", snapshotObjects: "VolumeSnapshotList", snapshotClasses: "VolumeSnapshotClassList",
	}, all...)
}

// TestWhatIsDeletedMeanwhileIsNotMadeAgain: the provisioner deletes a volume first, and then its PersistentVolume.
func TestWhatIsDeletedMeanwhileIsNotMadeAgain(t *testing.T) {
	f := found(volumeOf("pvc-1", "shop", "data"))
	f.apply(f.Plan(Wanted{}))
	client := cluster(f)
	volumes := f.Volumes
	read, err := Read(t.Context(), client, func(ctx context.Context, args ...string) ([]byte, error) {
		if args[0] != "volume" {
			return []byte("[]"), nil
		}
		text, err := json.Marshal(volumes)
		err = errors.Join(err, client.Resource(objects.Claims).Namespace("shop").Delete(ctx, "data", metav1.DeleteOptions{}),
			client.Resource(objects.Volumes).Delete(ctx, "pvc-1", metav1.DeleteOptions{}))
		return text, err
	}, driver)
	if err != nil {
		t.Fatal(err)
	}
	if target := one(t, read.Plan(Wanted{})); target.State != There {
		t.Errorf("%+v", target)
	}
	read, err = Read(t.Context(), client, func(_ context.Context, _ ...string) ([]byte, error) { return json.Marshal([]answers.Volume{}) }, driver)
	if err != nil || len(read.Plan(Wanted{}).Volumes) > 0 {
		t.Errorf("then it is gone: %v", err)
	}
}
