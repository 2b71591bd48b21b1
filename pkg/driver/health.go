// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// NodeGetVolumeHealth returns what is wrong with the volume as seen from this node; an empty list says that nothing is
// known to be. It answers within a second, whatever hangs. Before anything is known it is Unavailable, for
// health.UnknownFor at most after a client was found: after an error kubelet keeps the condition that it had. The
// volume ID is enough. Given a publish path, only the client that is mounted there counts.
func (n *node) NodeGetVolumeHealth(ctx context.Context, request *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	id, err := parseExisting(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	var report health.Report
	if at, ok := n.shownAt(ctx, request.GetVolumePublishPath(), id.Volume); ok {
		report = n.health.Mount(ctx, id.Volume, at)
	} else {
		report = n.health.Volume(ctx, id.Volume)
	}
	if report.State == health.Unknown {
		return nil, unknown(id.Volume)
	}
	response := &csi.NodeGetVolumeHealthResponse{VolumeHealth: &csi.VolumeHealth{VolumeId: request.GetVolumeId()}}
	for _, reason := range report.Reasons {
		response.VolumeHealth.HealthStatuses = append(response.VolumeHealth.HealthStatuses, &csi.VolumeHealth_VolumeHealthEntry{
			Status: volumeStatus(reason.State), Reason: reason.Code, Message: reason.Message,
		})
	}
	return response, nil
}

// unknown is the error of health that is not known yet. An empty list would say that nothing is known to be wrong.
func unknown(volumes ...gluster.Volume) error {
	return status.Errorf(codes.Unavailable, "the health of %v is not known yet: this node plugin has heard nothing of its client, or of its "+
		"servers where it has none", volumes)
}

// podPath is how kubelet names a publish path.
var podPath = regexp.MustCompile(`/pods/([0-9a-f-]+)/volumes/`)

// shownAt returns the one mount of the Gluster volume at a path. Where there
// is another number of mounts (one that was repaired on an old kernel lies on a dead one),
// or the path leads over a symbolic link, it says no: to follow the path could block.
func (n *node) shownAt(ctx context.Context, path string, v gluster.Volume) (health.Place, bool) {
	if path == "" {
		return health.Place{}, false
	}
	entries, err := mount.List()
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot tell what is mounted")
		return health.Place{}, false
	}
	at := slices.DeleteFunc(entries, func(e mount.Entry) bool { return e.Target != path })
	if len(at) != 1 || !client.Shows(at[0], v.Name) {
		return health.Place{}, false
	}
	place := health.Place{Device: at[0].Device, Root: at[0].Root, Target: path}
	if match := podPath.FindStringSubmatch(path); match != nil {
		place.Pod = match[1]
	}
	return place, true
}

// NodeGetStorageHealth returns what is wrong with the Gluster volumes of the clusters file,
// and with others that are in use on this node. It answers within a second, as
// NodeGetVolumeHealth does.
func (n *node) NodeGetStorageHealth(ctx context.Context, _ *csi.NodeGetStorageHealthRequest) (*csi.NodeGetStorageHealthResponse, error) {
	response := &csi.NodeGetStorageHealthResponse{}
	var unread []gluster.Volume
	for _, report := range n.health.All(ctx) {
		if report.State == health.Unknown {
			unread = append(unread, report.Volume)
		}
		for _, reason := range report.Reasons {
			addBackend(response, reason)
		}
	}
	if len(unread) > 0 && len(response.GetBackendHealth()) == 0 {
		return nil, unknown(unread...)
	}
	return response, nil
}

// addBackend adds a reason to the entry of its status and code. CSI spec 1.13,
// StorageBackendHealth: MUST NOT return two with the same.
func addBackend(response *csi.NodeGetStorageHealthResponse, reason health.Reason) {
	kind := storageStatus(reason)
	for _, known := range response.GetBackendHealth() {
		if known.GetStatus() == kind && known.GetReason() == reason.Code {
			known.Message = fmt.Sprintf("%s; %s", known.GetMessage(), reason.Message)
			return
		}
	}
	response.BackendHealth = append(response.BackendHealth, &csi.NodeGetStorageHealthResponse_StorageBackendHealth{
		Status: kind, Reason: reason.Code, Message: reason.Message,
	})
}

func volumeStatus(state health.State) csi.VolumeHealthErrorType {
	if state == health.Inaccessible {
		return csi.VolumeHealthErrorType_INACCESSIBLE
	}
	return csi.VolumeHealthErrorType_DEGRADED
}

// storageStatus is that of a volume, but for a client that died: the storage is well, and
// the next volume that is published gets a new client.
func storageStatus(reason health.Reason) csi.StorageHealthErrorType {
	if reason.State == health.Inaccessible && reason.Code != health.ClientDead {
		return csi.StorageHealthErrorType_STORAGE_UNREACHABLE
	}
	return csi.StorageHealthErrorType_STORAGE_DEGRADED
}
