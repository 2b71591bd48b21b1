// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

func TestARecordKeepsWhatItsClaimAskedFor(t *testing.T) {
	mode := func(m csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
		return &csi.VolumeCapability{
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{MountFlags: []string{"noatime"}}},
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: m},
		}
	}
	request := &csi.CreateVolumeRequest{
		Name: "pvc-1",
		VolumeCapabilities: []*csi.VolumeCapability{
			mode(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER), mode(csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER),
		},
		Parameters: map[string]string{"uid": "1001", consistencyKey: strict, pvNameKey: "pvc-1", pvcNameKey: "data", pvcNamespaceKey: "shop"},
	}
	p, err := checkCreate(request)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := specOf(request, p)
	if err != nil {
		t.Fatal(err)
	}
	want := &volume.MadeFor{
		Namespace: "shop", Claim: "data", AccessModes: []string{"ReadWriteMany", "ReadWriteOnce"}, MountOptions: []string{"noatime"},
		Parameters: map[string]string{"uid": "1001", consistencyKey: strict},
	}
	if !reflect.DeepEqual(spec.MadeFor, want) {
		t.Errorf("it keeps %+v, not %+v", spec.MadeFor, want)
	}
	if got := RecordedContext(volume.Record{Path: "a", MadeFor: spec.MadeFor}); got[consistencyKey] != strict || got[pathKey] != "a" {
		t.Errorf("the context is %v", got)
	}
	for name, change := range map[string]func(){
		"no claim":     func() { delete(request.GetParameters(), pvcNameKey) },
		"far too much": func() { request.GetParameters()[pvcNameKey] = strings.Repeat("x", maxMadeFor) },
	} {
		change()
		if p, err = parseParameters(request.GetParameters()); err != nil {
			t.Fatal(err)
		}
		if m := madeFor(request, p); m != nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestARecordKeepsClassAndLabelsOfItsClaim: of the one that the volume is made for, as far as there is room, and a volume is made
// without an answer, too.
func TestARecordKeepsClassAndLabelsOfItsClaim(t *testing.T) {
	labels := map[string]string{"app": "web"}
	for name, test := range map[string]struct {
		claim kubeapi.MadeClaim
		err   error
		want  volume.MadeFor
	}{
		"its own":         {kubeapi.MadeClaim{UID: "5f0c", Class: "glusterfs", Labels: labels}, nil, volume.MadeFor{Namespace: "shop", Claim: "data", Class: "glusterfs", Labels: labels}},
		"a later one":     {kubeapi.MadeClaim{UID: "77aa", Class: "glusterfs", Labels: labels}, nil, volume.MadeFor{Namespace: "shop", Claim: "data"}},
		"no answer":       {kubeapi.MadeClaim{}, errors.New("it does not answer"), volume.MadeFor{Namespace: "shop", Claim: "data"}},
		"far too many":    {kubeapi.MadeClaim{UID: "5f0c", Class: "glusterfs", Labels: map[string]string{"a": strings.Repeat("x", maxMadeFor)}}, nil, volume.MadeFor{Namespace: "shop", Claim: "data", Class: "glusterfs"}},
		"neither of both": {kubeapi.MadeClaim{UID: "5f0c"}, nil, volume.MadeFor{Namespace: "shop", Claim: "data"}},
	} {
		c := &controller{askClaim: func(_ context.Context, namespace, claim string) (kubeapi.MadeClaim, error) {
			if namespace != "shop" || claim != "data" {
				t.Errorf("it asks for %s/%s", namespace, claim)
			}
			return test.claim, test.err
		}}
		m := &volume.MadeFor{Namespace: "shop", Claim: "data"}
		c.addClaim(t.Context(), "pvc-5f0c", m)
		if !reflect.DeepEqual(*m, test.want) {
			t.Errorf("%s: it keeps %+v", name, m)
		}
	}
	(&controller{}).addClaim(t.Context(), "pvc-5f0c", &volume.MadeFor{}) // nobody is to be asked
}

func TestASnapshotKeepsWhatItWasMadeFor(t *testing.T) {
	request := &csi.CreateSnapshotRequest{Parameters: map[string]string{
		"csi.storage.k8s.io/volumesnapshot/namespace": "shop", "csi.storage.k8s.io/volumesnapshot/name": "nightly",
	}}
	if m := snapshotMadeFor(request); m == nil || *m != (volume.SnapshotMadeFor{Namespace: "shop", Name: "nightly"}) {
		t.Errorf("it keeps %+v", m)
	}
	if m := snapshotMadeFor(&csi.CreateSnapshotRequest{}); m != nil {
		t.Errorf("of a request that says nothing it keeps %+v", m)
	}
}
