// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const snapshotGroup = "snapshot.storage.k8s.io"

// The kinds of snapshots, where they are installed.
var (
	snapshotContents = schema.GroupVersionResource{Group: snapshotGroup, Version: "v1", Resource: "volumesnapshotcontents"}
	snapshotObjects  = schema.GroupVersionResource{Group: snapshotGroup, Version: "v1", Resource: "volumesnapshots"}
	snapshotClasses  = schema.GroupVersionResource{Group: snapshotGroup, Version: "v1", Resource: "volumesnapshotclasses"}
)

// Found is what there is.
type Found struct {
	objects.Cluster

	Volumes   []answers.Volume
	Entries   []answers.TrashEntry
	Snapshots []answers.Snapshot
	// Partly is why not all of the Gluster volumes could be read; nil if all were.
	Partly error

	hasSnapshotKinds bool
	contents         []unstructured.Unstructured
	snapshots        map[string]*unstructured.Unstructured // by namespace/name
	snapshotClasses  []unstructured.Unstructured
}

// Read reads the cluster and asks the controller. Nothing at all of the volumes is an error; a part of them is Partly.
// The objects are read first: what is deleted meanwhile is then not listed by the driver, and so not made again.
func Read(ctx context.Context, client dynamic.Interface, ask inside.Ask, driver string) (*Found, error) {
	cluster, err := objects.ReadCluster(ctx, client, driver)
	if err != nil {
		return nil, err
	}
	f := &Found{Cluster: cluster, snapshots: map[string]*unstructured.Unstructured{}}
	if err := f.readSnapshots(ctx, client); err != nil {
		return nil, err
	}
	var errVolumes, errTrash, errSnapshots error
	f.Volumes, errVolumes = inside.List[answers.Volume](ctx, ask, "volume", "list")
	if f.Volumes == nil && errVolumes != nil {
		return nil, errVolumes
	}
	f.Entries, errTrash = inside.List[answers.TrashEntry](ctx, ask, "trash", "list")
	f.Snapshots, errSnapshots = inside.List[answers.Snapshot](ctx, ask, "snapshot", "list")
	f.Partly = errors.Join(errVolumes, errTrash, errSnapshots)
	return f, nil
}

// readSnapshots reads what there is of snapshots, if the cluster has their kinds.
func (f *Found) readSnapshots(ctx context.Context, client dynamic.Interface) error {
	for _, kind := range []struct {
		resource schema.GroupVersionResource
		add      func(u unstructured.Unstructured)
	}{
		{snapshotContents, func(u unstructured.Unstructured) { f.contents = append(f.contents, u) }},
		{snapshotObjects, func(u unstructured.Unstructured) { f.snapshots[objects.Key(&u)] = &u }},
		{snapshotClasses, func(u unstructured.Unstructured) { f.snapshotClasses = append(f.snapshotClasses, u) }},
	} {
		err := objects.Each(ctx, client, kind.resource, kind.add)
		if apierrors.IsNotFound(err) { // of the kind
			return nil
		}
		if err != nil {
			return err
		}
	}
	f.hasSnapshotKinds = true
	return nil
}

// IsOf says whether another Kubernetes cluster has something here.
func (f *Found) IsOf(kubernetes string) bool {
	return slices.ContainsFunc(f.Volumes, func(v answers.Volume) bool { return v.Others && v.Kubernetes == kubernetes }) ||
		slices.ContainsFunc(f.Entries, func(e answers.TrashEntry) bool { return e.Others && e.Kubernetes == kubernetes })
}
