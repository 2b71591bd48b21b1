// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

type node struct {
	csi.UnimplementedNodeServer
	id      string
	host    *client.Host
	health  *health.Observer
	volumes *manager.Manager
	targets targets
	stats   statter
}

func newNode(d *Driver) *node {
	return &node{id: d.options.NodeID, host: d.host, health: d.health, volumes: d.volumes, stats: statter{permits: d.permits}}
}

var nodeCapabilities = []csi.NodeServiceCapability_RPC_Type{
	csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
	csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	csi.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP,
	csi.NodeServiceCapability_RPC_GET_VOLUME_HEALTH,
	csi.NodeServiceCapability_RPC_GET_STORAGE_HEALTH,
}

// NodeGetCapabilities lists what this service offers.
func (n *node) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	response := &csi.NodeGetCapabilitiesResponse{}
	for _, capability := range nodeCapabilities {
		response.Capabilities = append(response.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: capability}},
		})
	}
	return response, nil
}

// NodeGetInfo names the node. Every node reaches every volume, so there is no topology.
func (n *node) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.id}, nil
}

// NodePublishVolume shows a volume's directory at the target, read-only where the
// request or its access mode says so. Nothing is remembered: what is mounted where is
// read from mountinfo. While something is mounted at the target, a failure is never one
// that kubelet takes for final, since kubelet would then forget to unpublish it.
func (n *node) NodePublishVolume(ctx context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	err := n.publish(ctx, request)
	if err == nil {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	err = toStatus(err)
	if isFinal(err) && mayBeMounted(request.GetTargetPath()) {
		return nil, status.Errorf(codes.Aborted, "something is mounted at %s, so this is tried again: %s", request.GetTargetPath(), status.Convert(err).Message())
	}
	return nil, err
}

func mayBeMounted(target string) bool {
	if !filepath.IsAbs(target) {
		return false // no mount point has such a name
	}
	at, err := mount.At(target)
	if errors.Is(err, unix.ENOTDIR) {
		return false // there is no such path
	}
	return err != nil || len(at) > 0
}

func (n *node) publish(ctx context.Context, request *csi.NodePublishVolumeRequest) error {
	if request.GetVolumeCapability() == nil {
		return invalid("the volume capability is missing")
	}
	wanted, err := parseCapability(request.GetVolumeCapability())
	if err != nil {
		return err
	}
	if wanted.flags&mount.ReadOnly != 0 {
		wanted.options = append(wanted.options, gluster.ReadOnly) // the volume's, not the pod's: it must hold in a container too
	}
	if request.GetReadonly() { // kubelet has the runtime see to it
		wanted.flags |= mount.ReadOnly
	}
	target, err := resolveTarget(request.GetTargetPath())
	if err != nil {
		return err
	}
	id, err := parseExisting(request.GetVolumeId())
	if err != nil {
		return err
	}
	said, err := parseContext(request.GetVolumeContext())
	if err == nil && said.strict {
		err = wanted.makeStrict()
	}
	if err != nil {
		return err
	}
	how := lifecycle.Access{ID: id.ID, Path: said.path, Owner: said.owner, Group: wanted.group, ReadOnly: wanted.flags&mount.ReadOnly != 0}
	at, leave := n.targets.enter(target)
	defer leave()
	var before int
	if err := at.change(ctx, func() error { before = at.unpublished; return nil }); err != nil {
		return err
	}
	return n.volumes.Publish(ctx, id, wanted.options, how, func(fd int, root string) error {
		return at.change(ctx, func() error {
			if at.unpublished != before {
				return status.Errorf(codes.Aborted, "the target %s was unpublished meanwhile: try again if the volume is wanted there", target)
			}
			s := shown{id: id, root: root, target: target, wanted: wanted}
			if err := n.show(ctx, fd, s); err != nil {
				return err
			}
			return n.rememberPod(s, request.GetVolumeContext(), said.restart)
		})
	})
}

// resolveTarget returns a target path as mountinfo names it: the kubelet directory may be a link. It looks at the target's
// parent directories only, which are on the node's own disk.
func resolveTarget(target string) (string, error) {
	if target == "" {
		return "", invalid("the target path is missing")
	}
	if !filepath.IsAbs(target) || filepath.Clean(target) != target {
		return "", invalid("the target path %q is not absolute and clean", target)
	}
	if strings.ContainsRune(target, 0) {
		return "", invalid("the target path %q holds a NUL", target)
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(target)); err == nil {
		target = filepath.Join(parent, filepath.Base(target))
	}
	return target, nil
}

// shown is one volume at one target.
type shown struct {
	id     volume.ID
	root   string // the directory's path from the Gluster volume's root
	target string
	wanted access
}

// isShown says whether a mount, one of those that are listed, shows the volume by a client of this driver, whichever it
// is and whether it is dead or not.
func (n *node) isShown(e mount.Entry, s shown, entries []mount.Entry) bool {
	return client.Shows(e, s.id.Volume.Name) && e.Root == s.root && n.host.Shown(e.Device, s.id.Volume, entries)
}

// show makes the target show the directory. It waits for nothing but the local disk.
func (n *node) show(ctx context.Context, fd int, s shown) error {
	if s.wanted.single {
		if err := n.onlyTarget(s); err != nil {
			return err
		}
	}
	at, err := mount.At(s.target)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(at) > 0 {
		top := at[len(at)-1]
		c, gone := n.host.ByDevice(top.Device)
		entries, err := mount.List()
		if err != nil {
			return err
		}
		switch {
		case !n.isShown(top, s, entries):
			return status.Errorf(codes.AlreadyExists, "the target %s shows something else: %s of %s", s.target, top.Root, top.Source)
		case gone != nil:
			// Not detached first: for a moment a pod could write to the node's disk below. Unpublishing detaches both.
			klog.FromContext(ctx).Info("Covering a bind whose client is gone", "target", s.target, "device", top.Device)
			return mount.Bind(fd, s.target, s.wanted.flags)
		case top.Flags != s.wanted.flags:
			return status.Errorf(codes.AlreadyExists, "the volume is published at %s with the options %q, not %q", s.target, top.Flags, s.wanted.flags)
		case isStrict(c) != s.wanted.isStrict():
			return status.Errorf(codes.AlreadyExists, "the volume is published at %s with another consistency: unpublish it there first", s.target)
		default:
			return nil
		}
	}
	if err := makeTarget(s.target); err != nil {
		return err
	}
	if err := mount.Bind(fd, s.target, s.wanted.flags); err != nil {
		return errors.Join(err, removeTarget(s.target))
	}
	return nil
}

func isStrict(c *client.Client) bool {
	return slices.Contains(c.Info().Options, gluster.Strict)
}

// onlyTarget refuses a second target on this node. Kubelet's own binds for subPath are
// parts of a target, and the clients' mount points belong to nobody's pod.
func (n *node) onlyTarget(s shown) error {
	entries, err := mount.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Target != s.target && !strings.Contains(e.Target, "/volume-subpaths/") && !n.host.Owns(e.Target) && n.isShown(e, s, entries) {
			return status.Errorf(codes.FailedPrecondition, "volume %s is published at %s on this node, and its access mode (ReadWriteOncePod) allows one target only", s.id, e.Target)
		}
	}
	return nil
}

// makeTarget makes the directory to mount on, where kubelet has not.
func makeTarget(target string) error {
	err := os.Mkdir(target, 0o750)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENAMETOOLONG):
		return invalid("the target path %.160q… is too long for this node's file system", target)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return status.Errorf(codes.FailedPrecondition, "the target's parent directory %s does not exist, or is none; kubelet makes it: is the kubelet directory mounted at the same path in the driver's container?", filepath.Dir(target))
	case !errors.Is(err, os.ErrExist):
		return fmt.Errorf("make the target: %w", err)
	}
	info, err := os.Lstat(target)
	if err == nil && !info.IsDir() {
		err = status.Errorf(codes.FailedPrecondition, "the target %s is a %s, not a directory", target, info.Mode().Type())
	}
	return err
}

// NodeUnpublishVolume takes the volume away from the target and removes it. It asks
// neither GlusterFS nor the target itself, so it works at once whatever has died. What
// is no longer there is no error.
func (n *node) NodeUnpublishVolume(ctx context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, invalid("the volume ID is missing")
	}
	target, err := resolveTarget(request.GetTargetPath())
	if err != nil {
		return nil, err
	}
	at, leave := n.targets.enter(target)
	defer leave()
	err = at.change(ctx, func() error {
		at.unpublished++
		if err := mount.Detach(target); err != nil {
			return err
		}
		return errors.Join(n.host.StateDir().RemovePublished(target), removeTarget(target))
	})
	if err != nil {
		return nil, fmt.Errorf("unpublish %s: %w", request.GetVolumeId(), err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// removeTarget removes an empty directory, never what is in one.
func removeTarget(target string) error {
	err := unix.Rmdir(target)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) {
		return status.Errorf(codes.FailedPrecondition, "the target %s holds files that are on the node's own disk: look at them and move them away", target)
	}
	return fmt.Errorf("remove the target %s: %w", target, err)
}
