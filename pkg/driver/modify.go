// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// recursiveKey is a parameter of a VolumeAttributesClass alone: in a new volume there is nothing that could be changed.
const recursiveKey = "recursive"

// mutable are the parameters that a VolumeAttributesClass may have.
var mutable = []string{"gid", "mode", "onDelete", "quota", recursiveKey, "uid"}

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
	if _, err := c.volumes.Modify(ctx, id, volume.Changes{Owner: p.owner, OnDelete: p.onDelete, Quota: p.quota, Recursive: p.recursive}); err != nil {
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
		set := setters[key]
		if key == recursiveKey {
			set = func(p *parameters, v string) (err error) { p.recursive, err = parseRecursive(v); return }
		}
		if err := set(p, raw[key]); err != nil {
			return invalid("VolumeAttributesClass parameter %s: %v", key, err)
		}
	}
	if p.recursive && raw["uid"] == "" && raw["gid"] == "" {
		return invalid("VolumeAttributesClass parameter %s is for uid and gid, and neither is there", recursiveKey)
	}
	return nil
}

func parseRecursive(value string) (bool, error) {
	if value != "true" && value != "false" {
		return false, fmt.Errorf("%q is neither true nor false", value)
	}
	return value == "true", nil
}
