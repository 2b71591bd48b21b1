// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

type controller struct {
	csi.UnimplementedControllerServer
	volumes  *manager.Manager
	askClaim askClaim // nil: nobody is asked
}

var controllerCapabilities = []csi.ControllerServiceCapability_RPC_Type{
	csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
	csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
	csi.ControllerServiceCapability_RPC_GET_CAPACITY,
	csi.ControllerServiceCapability_RPC_GET_VOLUME,
	csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
	csi.ControllerServiceCapability_RPC_MODIFY_VOLUME,
	csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
	csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
	csi.ControllerServiceCapability_RPC_GET_SNAPSHOT,
	csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
	csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
}

// ControllerGetCapabilities lists what this service offers.
func (c *controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, capability := range controllerCapabilities {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: capability}},
		})
	}
	return response, nil
}

// CreateVolume makes a directory, or returns the one that the same request made before. What it is to be a copy of is
// copied first: Aborted says how far that is.
func (c *controller) CreateVolume(ctx context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	p, err := checkCreate(request)
	if err != nil {
		return nil, err
	}
	spec, err := specOf(request, p)
	if err != nil {
		return nil, err
	}
	v, err := c.choose(p)
	if err != nil {
		return nil, err
	}
	c.addClaim(ctx, request.GetName(), spec.MadeFor)
	r, err := c.volumes.Create(ctx, v, spec)
	if err != nil {
		return nil, err
	}
	created := toCSI(manager.Volume{ID: volume.ID{Volume: v, ID: r.ID}, Record: r})
	if p.strict { // as it is asked for now: what is on the Gluster volume is the same either way
		created.VolumeContext[consistencyKey] = strict
	}
	if p.restart {
		created.VolumeContext[onDeathKey] = restart
	}
	return &csi.CreateVolumeResponse{Volume: created}, nil
}

// choose returns the Gluster volume that a class names. That there is none is not final: the
// clusters file may be about to change (after InvalidArgument the provisioner waits for long).
func (c *controller) choose(p parameters) (gluster.Volume, error) {
	v, err := c.volumes.Choose(p.cluster, p.volume)
	if err != nil && !errors.Is(err, gluster.ErrNotLoaded) {
		err = fmt.Errorf("StorageClass parameters cluster and volume: %w", err)
	}
	return v, err
}

func checkCreate(request *csi.CreateVolumeRequest) (parameters, error) {
	if request.GetName() == "" {
		return parameters{}, invalid("the volume's name is missing")
	}
	p, err := parseParameters(request.GetParameters())
	if err == nil {
		err = p.setMutable(request.GetMutableParameters())
	}
	if err != nil {
		return parameters{}, err
	}
	return p, checkCapabilities(request.GetVolumeCapabilities(), p.strict)
}

func specOf(request *csi.CreateVolumeRequest, p parameters) (volume.Spec, error) {
	required, limit, err := capacityRange(request.GetCapacityRange())
	if err != nil {
		return volume.Spec{}, err
	}
	if p.vars.PVName == "" {
		// Without --extra-create-metadata; the ID is the name made safe for a path.
		p.vars.PVName = volume.IDFor(request.GetName())
	}
	path, err := volume.RenderPath(p.path, p.vars)
	if err != nil {
		return volume.Spec{}, fmt.Errorf("StorageClass parameter path: %w", err)
	}
	source, err := sourceOf(request)
	if err != nil {
		return volume.Spec{}, err
	}
	return volume.Spec{
		Name: request.GetName(), Path: path, Required: required, Limit: limit, Owner: p.owner, OnDelete: p.onDelete, Quota: p.quota,
		MadeFor: madeFor(request, p), Source: source,
	}, nil
}

func toCSI(v manager.Volume) *csi.Volume {
	return &csi.Volume{
		VolumeId:      v.ID.String(),
		CapacityBytes: v.Record.Capacity,
		VolumeContext: VolumeContext(v.Record),
		ContentSource: sourceToCSI(v.Record.Source),
	}
}

// VolumeContext is what CreateVolume says of a volume for its publication, consistency aside, which is as each request asks.
func VolumeContext(r volume.Record) map[string]string { return map[string]string{pathKey: r.Path} }

// DeleteVolume gives a volume up as it was asked for when it was made. An ID that this
// driver cannot have given names nothing, so it is deleted already.
func (c *controller) DeleteVolume(ctx context.Context, request *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, invalid("the volume ID is missing")
	}
	id, err := volume.ParseID(request.GetVolumeId())
	if err != nil {
		klog.FromContext(ctx).Info("Nothing to delete: the volume ID is not one of this driver's", "why", err.Error())
		return &csi.DeleteVolumeResponse{}, nil
	}
	if err := c.volumes.Delete(ctx, id); err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// parseExisting reads the ID of a volume that must exist: one that is not of this driver
// cannot.
func parseExisting(handle string) (volume.ID, error) {
	if handle == "" {
		return volume.ID{}, invalid("the volume ID is missing")
	}
	id, err := volume.ParseID(handle)
	if err != nil {
		return volume.ID{}, status.Error(codes.NotFound, err.Error())
	}
	return id, nil
}

// ValidateVolumeCapabilities confirms what parseCapability accepts, and of the parameters those that were compared.
func (c *controller) ValidateVolumeCapabilities(ctx context.Context, request *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if len(request.GetVolumeCapabilities()) == 0 {
		return nil, invalid("the volume capabilities are missing")
	}
	id, err := parseExisting(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	r, err := c.volumes.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if path, has := request.GetVolumeContext()[pathKey]; has && path != r.Path {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: fmt.Sprintf("the volume's path is %q, not %q", r.Path, path)}, nil
	}
	attributes, reason := parseContext(request.GetVolumeContext())
	if reason == nil {
		reason = checkCapabilities(request.GetVolumeCapabilities(), attributes.strict)
	}
	var parameters map[string]string
	if reason == nil {
		parameters, reason = compareParameters(request, id, r)
	}
	if reason != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: status.Convert(toStatus(reason)).Message()}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeContext: request.GetVolumeContext(), VolumeCapabilities: request.GetVolumeCapabilities(), Parameters: parameters,
	}}, nil
}

// maxPage bounds a page of ListVolumes.
const maxPage = 1000

// ListVolumes lists the volumes of every Gluster volume in the clusters file. The token
// of a page is the last ID on it, so it stays valid whatever is created or deleted.
func (c *controller) ListVolumes(ctx context.Context, request *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	limit, err := pageOf(request.GetMaxEntries(), request.GetStartingToken())
	if err != nil {
		return nil, err
	}
	volumes, next, err := c.volumes.List(ctx, request.GetStartingToken(), limit)
	if err != nil {
		return nil, err
	}
	response := &csi.ListVolumesResponse{NextToken: next}
	for _, v := range volumes {
		response.Entries = append(response.Entries, &csi.ListVolumesResponse_Entry{Volume: toCSI(v)})
	}
	return response, nil
}

// ControllerGetVolume returns one volume.
func (c *controller) ControllerGetVolume(ctx context.Context, request *csi.ControllerGetVolumeRequest) (*csi.ControllerGetVolumeResponse, error) {
	id, err := parseExisting(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	r, err := c.volumes.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeResponse{
		Volume: toCSI(manager.Volume{ID: id, Record: r}),
		Status: &csi.ControllerGetVolumeResponse_VolumeStatus{},
	}, nil
}

// GetCapacity returns the bytes free on the Gluster volume that a class names. They are
// shared by all volumes on it: nothing is reserved.
func (c *controller) GetCapacity(ctx context.Context, request *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	p, err := parseParameters(request.GetParameters())
	if err != nil {
		return nil, err
	}
	if len(request.GetVolumeCapabilities()) > 0 && checkCapabilities(request.GetVolumeCapabilities(), p.strict) != nil {
		return &csi.GetCapacityResponse{}, nil //nolint:nilerr // nothing of that kind can be made, and that is an answer
	}
	v, err := c.choose(p)
	if err != nil {
		return nil, err
	}
	available, _, err := c.volumes.Capacity(ctx, v)
	if err != nil {
		return nil, err
	}
	return &csi.GetCapacityResponse{AvailableCapacity: available}, nil
}
