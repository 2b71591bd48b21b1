// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// newSite is an API server with the driver's class and nothing else, and a controller that has a volume of each
// namespace. A Gluster volume that is silent is silent of it.
func newSite(silent error, namespaces ...string) (*fake.FakeDynamicClient, *running) {
	class := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": "glusterfs"}, "provisioner": migrate.DriverName,
	}}
	kind := func(group, resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
	}
	const snapshots = "snapshot.storage.k8s.io"
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		objects.Volumes: "PersistentVolumeList", objects.Claims: "PersistentVolumeClaimList", objects.Namespaces: "NamespaceList", objects.Classes: "StorageClassList",
		kind(snapshots, "volumesnapshotcontents"): "VolumeSnapshotContentList", kind(snapshots, "volumesnapshots"): "VolumeSnapshotList",
		kind(snapshots, "volumesnapshotclasses"): "VolumeSnapshotClassList",
	}, class)
	var all []answers.Volume
	for _, namespace := range namespaces {
		name := "pvc-" + namespace
		all = append(all, answers.Volume{ID: "pi/gv0/" + name, Name: name, Capacity: 1 << 30, Kubernetes: "this", MadeFor: &answers.MadeFor{Namespace: namespace, Claim: "data", Class: "glusterfs"}})
	}
	return client, &running{client: client, pods: []inside.Pod{{Component: inside.Controller, Ready: true}}, run: func(_ context.Context, _ inside.Pod, command []string) ([]byte, error) {
		if command[1] != "volume" {
			return []byte("[]"), nil
		}
		text, err := json.Marshal(all)
		return text, errors.Join(err, silent)
	}}
}

// applied is what `recover --apply` says there.
func applied(t *testing.T, site *running) (string, error) {
	t.Helper()
	var out, progress bytes.Buffer
	r := &recovering{command: command{env: Environment{Out: &out, Err: &progress}, format: "table"}, apply: true}
	err := r.recover(t.Context(), site)
	return strings.Join(strings.Fields(out.String()), " "), err
}

// TestOneObjectThatIsRefusedHoldsUpNoOther, and the report is there whatever fails.
func TestOneObjectThatIsRefusedHoldsUpNoOther(t *testing.T) {
	claims := schema.GroupResource{Resource: "persistentvolumeclaims"}
	for name, test := range map[string]struct {
		err      error
		isOfThat bool
	}{
		"a quota":                  {apierrors.NewForbidden(claims, "data", errors.New("exceeded quota: storage")), true},
		"an admission policy":      {apierrors.NewInvalid(schema.GroupKind{Kind: "PersistentVolumeClaim"}, "data", nil), true},
		"a request that is bad":    {apierrors.NewBadRequest("no such field"), true},
		"a namespace that went":    {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "mail"), true},
		"an API server that fails": {apierrors.NewInternalError(errors.New("etcd")), false},
	} {
		client, site := newSite(nil, "mail", "shop")
		client.PrependReactor("create", claims.Resource, func(action kubetesting.Action) (bool, runtime.Object, error) {
			return action.GetNamespace() == "mail", nil, test.err
		})
		out, err := applied(t, site)
		if errors.Is(err, errLeft) != test.isOfThat || err == nil || !strings.Contains(out, "mail/data") {
			t.Errorf("%s: %v, %s", name, err, out)
		}
		if test.isOfThat && (!strings.Contains(out, test.err.Error()) || !strings.Contains(out, "0 to make, 1 made, 0 there, 0 that differ, 1 blocked.")) {
			t.Errorf("%s: %s", name, out)
		}
		_, err = client.Resource(objects.Claims).Namespace("shop").Get(t.Context(), "data", metav1.GetOptions{})
		if (err == nil) != test.isOfThat {
			t.Errorf("%s: the claim after it: %v", name, err)
		}
	}
}

// TestNothingIsMadeOfAPart: of a Gluster volume that is silent nobody knows whether it has the newest volume of a
// claim.
func TestNothingIsMadeOfAPart(t *testing.T) {
	client, site := newSite(&inside.ExitError{Code: 1, Stderr: "gv1 does not answer"}, "shop")
	client.PrependReactor("create", "*", func(action kubetesting.Action) (bool, runtime.Object, error) {
		t.Errorf("one of %s is made", action.GetResource().Resource)
		return false, nil, nil
	})
	out, err := applied(t, site)
	if !errors.Is(err, errLeft) || !strings.Contains(err.Error(), "nothing is made") || !strings.Contains(err.Error(), "gv1 does not answer") || !strings.Contains(out, "shop/data") {
		t.Errorf("%v, %s", err, out)
	}
}
