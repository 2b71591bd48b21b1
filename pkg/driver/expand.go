// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ControllerExpandVolume makes a volume larger while pods use it; nothing is to be done on a node. As CSI wants it, a
// volume that is as large as required is left as it is; none is made smaller.
func (c *controller) ControllerExpandVolume(ctx context.Context, request *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	if request.GetCapacityRange() == nil {
		return nil, invalid("the capacity range is missing")
	}
	required, limit, err := capacityRange(request.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	id, err := parseExisting(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if capability := request.GetVolumeCapability(); capability != nil {
		if _, err := parseCapability(capability); err != nil {
			return nil, err
		}
	}
	r, err := c.volumes.Expand(ctx, id, required, limit)
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: r.Capacity}, nil
}

// capacityRange returns the bounds of a capacity in bytes, 0 where there is none.
func capacityRange(r *csi.CapacityRange) (required, limit int64, err error) {
	required, limit = r.GetRequiredBytes(), r.GetLimitBytes()
	if required < 0 || limit < 0 || limit > 0 && required > limit {
		err = status.Errorf(codes.OutOfRange, "the capacity range from %d to %d bytes is empty", required, limit)
	}
	return required, limit, err
}
