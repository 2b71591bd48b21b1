// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"reflect"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"

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
