// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// snapshotSetters have the effect of a VolumeSnapshotClass's parameters; docs/parameters.md lists the same keys.
var snapshotSetters = map[string]func(p *parameters, value string) error{
	"cluster": setters["cluster"],
	"volume":  setters["volume"],
}

// parseSnapshotParameters reads the parameters of CreateSnapshot.
func parseSnapshotParameters(raw map[string]string) (parameters, error) {
	var p parameters
	err := setAll(&p, "VolumeSnapshotClass parameter", withoutSidecars(raw), snapshotSetters, true)
	return p, err
}

// CreateSnapshot begins to copy a volume, or returns the snapshot that the same request has begun before. It answers
// before the copy is complete, unless that is small; ready_to_use says so.
func (c *controller) CreateSnapshot(ctx context.Context, request *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if request.GetName() == "" {
		return nil, invalid("the snapshot's name is missing")
	}
	if request.GetSourceVolumeId() == "" {
		return nil, invalid("the source volume's ID is missing")
	}
	p, err := parseSnapshotParameters(request.GetParameters())
	if err != nil {
		return nil, err
	}
	of, err := parseExisting(request.GetSourceVolumeId())
	if err != nil {
		return nil, err
	}
	v, err := c.chooseForSnapshot(p, of)
	if err != nil {
		return nil, err
	}
	s, err := c.volumes.CreateSnapshot(ctx, v, request.GetName(), of, snapshotMadeFor(request))
	if err != nil {
		return nil, err
	}
	return &csi.CreateSnapshotResponse{Snapshot: snapshotToCSI(s)}, nil
}

// chooseForSnapshot returns the Gluster volume that a class names, or the one of the volume.
func (c *controller) chooseForSnapshot(p parameters, of volume.ID) (gluster.Volume, error) {
	if p.cluster == "" && p.volume == "" {
		return of.Volume, nil
	}
	v, err := c.volumes.Choose(p.cluster, p.volume)
	if err != nil && !errors.Is(err, gluster.ErrNotLoaded) {
		err = fmt.Errorf("VolumeSnapshotClass parameters cluster and volume: %w", err)
	}
	return v, err
}

func snapshotToCSI(s manager.Snapshot) *csi.Snapshot {
	found := &csi.Snapshot{SnapshotId: s.ID.String(), SourceVolumeId: s.Source.Volume, CreationTime: timestamppb.New(s.Created)}
	if s.Result != nil {
		found.ReadyToUse, found.SizeBytes = true, s.Result.Size
	}
	return found
}

// DeleteSnapshot gives a snapshot up, complete or not. An ID that this driver cannot have given names nothing, so it is
// deleted already.
func (c *controller) DeleteSnapshot(ctx context.Context, request *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if request.GetSnapshotId() == "" {
		return nil, invalid("the snapshot ID is missing")
	}
	id, err := volume.ParseID(request.GetSnapshotId())
	if err != nil {
		klog.FromContext(ctx).Info("Nothing to delete: the snapshot ID is not one of this driver's", "why", err.Error())
		return &csi.DeleteSnapshotResponse{}, nil
	}
	if err := c.volumes.DeleteSnapshot(ctx, id); err != nil {
		return nil, err
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

// GetSnapshot returns one snapshot.
func (c *controller) GetSnapshot(ctx context.Context, request *csi.GetSnapshotRequest) (*csi.GetSnapshotResponse, error) {
	if request.GetSnapshotId() == "" {
		return nil, invalid("the snapshot ID is missing")
	}
	id, err := parseExisting(request.GetSnapshotId())
	if err != nil {
		return nil, err
	}
	s, err := c.volumes.GetSnapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	return &csi.GetSnapshotResponse{Snapshot: snapshotToCSI(s)}, nil
}

// ListSnapshots lists the snapshots on every Gluster volume in the clusters file, those of one volume, or one. The
// token of a page is the last ID on it.
func (c *controller) ListSnapshots(ctx context.Context, request *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	limit, err := pageOf(request.GetMaxEntries(), request.GetStartingToken())
	if err != nil {
		return nil, err
	}
	var found []manager.Snapshot
	next := ""
	if request.GetSnapshotId() != "" {
		found, err = c.oneSnapshot(ctx, request)
	} else {
		found, next, err = c.volumes.ListSnapshots(ctx, request.GetSourceVolumeId(), request.GetStartingToken(), limit)
	}
	if err != nil {
		return nil, err
	}
	response := &csi.ListSnapshotsResponse{NextToken: next}
	for _, s := range found {
		response.Entries = append(response.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: snapshotToCSI(s)})
	}
	return response, nil
}

// oneSnapshot is a list of the snapshot that is asked for by its ID, if it is there and of the volume asked for.
func (c *controller) oneSnapshot(ctx context.Context, request *csi.ListSnapshotsRequest) ([]manager.Snapshot, error) {
	id, err := volume.ParseID(request.GetSnapshotId())
	if err != nil {
		return nil, nil //nolint:nilerr // no snapshot of this driver has it
	}
	s, err := c.volumes.GetSnapshot(ctx, id)
	switch {
	case errors.Is(err, volume.ErrNotFound) || errors.Is(err, gluster.ErrUnknownCluster) || errors.Is(err, gluster.ErrUnknownVolume):
		return nil, nil
	case err != nil:
		return nil, err
	case request.GetSourceVolumeId() != "" && request.GetSourceVolumeId() != s.Source.Volume:
		return nil, nil
	}
	return []manager.Snapshot{s}, nil
}

// pageOf returns how many entries of a list are wanted.
func pageOf(entries int32, token string) (limit int, err error) {
	if entries < 0 {
		return 0, invalid("max_entries is negative")
	}
	if token != "" {
		if _, err := volume.ParseID(token); err != nil {
			return 0, status.Errorf(codes.Aborted, "the starting token %.160q was not given by this driver: list again from the start", token)
		}
	}
	if limit = int(entries); limit == 0 || limit > maxPage {
		limit = maxPage
	}
	return limit, nil
}

// sourceOf returns what a volume is to be made from; nil for nothing. An ID that is not of this driver names nothing
// that there is.
func sourceOf(request *csi.CreateVolumeRequest) (*volume.Source, error) {
	from := request.GetVolumeContentSource()
	if from == nil {
		return nil, nil
	}
	s := volume.Source{Volume: from.GetVolume().GetVolumeId(), Snapshot: from.GetSnapshot().GetSnapshotId()}
	if (s.Volume == "") == (s.Snapshot == "") {
		return nil, invalid("the content source of the volume names neither a snapshot nor a volume")
	}
	if _, err := volume.ParseID(s.Volume + s.Snapshot); err != nil {
		return nil, status.Errorf(codes.NotFound, "there is no %s: %v", s, err)
	}
	return &s, nil
}

func sourceToCSI(s *volume.Source) *csi.VolumeContentSource {
	switch {
	case s == nil:
		return nil
	case s.Snapshot != "":
		return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
			Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: s.Snapshot},
		}}
	}
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: s.Volume}}}
}
