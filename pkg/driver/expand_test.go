// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

func (r *rig) expand(id string, required, limit int64) (*csi.ControllerExpandVolumeResponse, error) {
	ctx, cancel := r.context()
	defer cancel()
	return r.controller.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{
		VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: required, LimitBytes: limit}, VolumeCapability: capability(manyWriters),
	})
}

func TestAVolumeIsExpandedWhileItIsInUse(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	target := r.publish(v, "pod")
	for range 2 {
		response, err := r.expand(v.GetVolumeId(), 2<<30, 0)
		if err != nil || response.GetCapacityBytes() != 2<<30 || response.GetNodeExpansionRequired() {
			t.Fatalf("%v, %v", response, err)
		}
	}
	write(t, filepath.Join(target, "file"), "written on")
	ctx, cancel := r.context()
	defer cancel()
	found, err := r.controller.ControllerGetVolume(ctx, getRequest(v))
	if err != nil || found.GetVolume().GetCapacityBytes() != 2<<30 {
		t.Errorf("it is %v, %v", found, err)
	}
	r.unpublish(v, target)
}

func TestExpansionsThatAreRefused(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	for _, test := range []struct {
		what            string
		id              string
		required, limit int64
		code            codes.Code
		says            string
	}{
		{"made smaller", v.GetVolumeId(), 1 << 20, 1 << 29, codes.OutOfRange, "not made smaller"},
		{"of an empty range", v.GetVolumeId(), 3 << 30, 2 << 30, codes.OutOfRange, "empty"},
		{"larger than the Gluster volume", v.GetVolumeId(), 1 << 62, 0, codes.OutOfRange, "ask for less, or add bricks"},
		{"of a volume that is not there", v.GetVolumeId() + "-not", 2 << 30, 0, codes.NotFound, "not found"},
		{"of another driver's", "elsewhere", 2 << 30, 0, codes.NotFound, "must be"},
	} {
		_, err := r.expand(test.id, test.required, test.limit)
		t.Log(test.what)
		code(t, err, test.code, test.says)
	}
	ctx, cancel := r.context()
	defer cancel()
	_, err := r.controller.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: v.GetVolumeId()})
	code(t, err, codes.InvalidArgument, "capacity range is missing")
}
