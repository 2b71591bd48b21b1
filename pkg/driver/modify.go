// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// mutable are the parameters of a class that a VolumeAttributesClass may have, too.
var mutable = []string{"gid", "mode", "onDelete", "quota", "uid"}

// ControllerModifyVolume changes what a VolumeAttributesClass says, while pods use the volume.
func (c *controller) ControllerModifyVolume(ctx context.Context, request *csi.ControllerModifyVolumeRequest) (*csi.ControllerModifyVolumeResponse, error) {
	id, err := parseExisting(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	var p parameters
	if err := p.setMutable(request.GetMutableParameters()); err != nil {
		return nil, err
	}
	if _, err := c.volumes.Modify(ctx, id, volume.Changes{Owner: p.owner, OnDelete: p.onDelete, Quota: p.quota}); err != nil {
		return nil, err
	}
	return &csi.ControllerModifyVolumeResponse{}, nil
}

// setMutable sets what a VolumeAttributesClass says, which counts before what a class says.
func (p *parameters) setMutable(raw map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		switch {
		case slices.Contains(mutable, key):
		case setters[key] != nil:
			return invalid("VolumeAttributesClass parameter %s cannot be changed: it is for a StorageClass. There are %s", key, strings.Join(mutable, ", "))
		default:
			return unknownKey("VolumeAttributesClass parameter", key, slices.Clone(mutable))
		}
		if err := setters[key](p, raw[key]); err != nil {
			return invalid("VolumeAttributesClass parameter %s: %v", key, err)
		}
	}
	return nil
}
