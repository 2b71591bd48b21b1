// SPDX-License-Identifier: Apache-2.0

// Package testdriver runs the driver beside a test cluster, in a process of its own or in this one, and calls it as
// kubelet and the sidecars do.
package testdriver

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Caller is a connection to a driver.
type Caller struct {
	Identity   csi.IdentityClient
	Controller csi.ControllerClient
	Node       csi.NodeClient

	connection *grpc.ClientConn
}

// Dial returns at once; calls connect. The caller must call Close.
func Dial(endpoint string, options ...grpc.DialOption) (*Caller, error) {
	c, err := grpc.NewClient(endpoint, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return nil, err
	}
	return &Caller{csi.NewIdentityClient(c), csi.NewControllerClient(c), csi.NewNodeClient(c), c}, nil
}

// Close ends the connection.
func (c *Caller) Close() error { return c.connection.Close() }

// Capability is a file system that any number of nodes write to, with these mount options.
func Capability(flags ...string) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{MountFlags: flags}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER},
	}
}

// Create makes a volume of 1 GiB for uid 1001 on the only Gluster volume of the clusters file, unless the request is
// changed.
func (c *Caller) Create(ctx context.Context, name string, change ...func(*csi.CreateVolumeRequest)) (*csi.Volume, error) {
	request := &csi.CreateVolumeRequest{
		Name: name, CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 30},
		VolumeCapabilities: []*csi.VolumeCapability{Capability()}, Parameters: map[string]string{"uid": "1001"},
	}
	for _, f := range change {
		f(request)
	}
	response, err := c.Controller.CreateVolume(ctx, request)
	return response.GetVolume(), err
}

// Delete deletes a volume.
func (c *Caller) Delete(ctx context.Context, v *csi.Volume) error {
	_, err := c.Controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
	return err
}

// Publish publishes a volume without mount options, writable, unless the request is changed.
func (c *Caller) Publish(ctx context.Context, v *csi.Volume, target string, change ...func(*csi.NodePublishVolumeRequest)) error {
	request := &csi.NodePublishVolumeRequest{
		VolumeId: v.GetVolumeId(), VolumeContext: v.GetVolumeContext(), VolumeCapability: Capability(), TargetPath: target,
	}
	for _, f := range change {
		f(request)
	}
	_, err := c.Node.NodePublishVolume(ctx, request)
	return err
}

// ReadOnly is a change of Publish.
func ReadOnly(request *csi.NodePublishVolumeRequest) { request.Readonly = true }

// Group is a change of Publish: kubelet names a pod's fsGroup so.
func Group(gid string) func(*csi.NodePublishVolumeRequest) {
	return func(request *csi.NodePublishVolumeRequest) {
		request.GetVolumeCapability().GetMount().VolumeMountGroup = gid
	}
}

// Unpublish undoes Publish.
func (c *Caller) Unpublish(ctx context.Context, v *csi.Volume, target string) error {
	_, err := c.Node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: target})
	return err
}
