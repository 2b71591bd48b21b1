// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/singleflight"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	mountutils "k8s.io/mount-utils"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// NodeGetVolumeStats returns the bytes and inodes of the filesystem at the path. They
// are those of the whole Gluster volume unless a quota is set on the directory.
func (n *node) NodeGetVolumeStats(ctx context.Context, request *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	path := request.GetVolumePath()
	if path == "" {
		return nil, invalid("the volume path is missing")
	}
	id, err := parseExisting(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	var at []mount.Entry
	if filepath.IsAbs(path) { // no other is a mount point
		if at, err = mount.At(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if len(at) == 0 || !client.Shows(at[len(at)-1], id.Volume.Name) {
		return nil, status.Errorf(codes.NotFound, "volume %s is not published at %s", id, path)
	}
	c, err := n.host.ByDevice(at[len(at)-1].Device)
	if err != nil {
		return nil, err
	}
	// A client that does not answer is asked once, not once for each of its targets.
	if err := c.Probe(ctx); err != nil {
		return nil, err
	}
	st, err := n.stats.statfs(ctx, c, path)
	if err != nil {
		return nil, err
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{
			Unit: csi.VolumeUsage_BYTES, Total: int64(st.Blocks) * st.Frsize,
			Available: int64(st.Bavail) * st.Frsize, Used: int64(st.Blocks-st.Bfree) * st.Frsize,
		},
		{
			Unit: csi.VolumeUsage_INODES, Total: int64(st.Files),
			Available: int64(st.Ffree), Used: int64(st.Files - st.Ffree),
		},
	}}, nil
}

// statter asks for the numbers of a mount, once at a time for each: a call that has not
// come back is waited for, not repeated. Each has a permit meanwhile.
type statter struct {
	permits *permits.Pool
	calls   singleflight.Group
}

func (s *statter) statfs(ctx context.Context, c *client.Client, path string) (unix.Statfs_t, error) {
	type answer struct {
		st  unix.Statfs_t
		err error
	}
	result := s.calls.DoChan(path, func() (any, error) {
		permit, err := s.permits.Acquire(ctx, c.Volume())
		if err != nil {
			return answer{}, fmt.Errorf("%w: %w", volume.ErrBusy, err)
		}
		defer permit.Release()
		if err := c.Probe(ctx); err != nil { // it may have waited
			return answer{}, err
		}
		var a answer
		a.err = unix.Statfs(path, &a.st)
		return a, nil
	})
	select {
	case r := <-result:
		if r.Err != nil { // of the first of those who wait for it
			return unix.Statfs_t{}, fmt.Errorf("statfs %s: %w", path, r.Err)
		}
		a, _ := r.Val.(answer)
		// By kubelet's own list: what it takes for a dead mount is said to be one.
		if mountutils.IsCorruptedMnt(a.err) {
			return unix.Statfs_t{}, status.Errorf(codes.Unavailable, "statfs %s: %v: its client has ended, or has lost its bricks; the driver repairs the mount as soon as they are back; if it stays so, publish the volume again", path, a.err)
		}
		if a.err != nil {
			return unix.Statfs_t{}, status.Errorf(codes.Unavailable, "statfs %s: %v; if it stays so, publish the volume again", path, a.err)
		}
		return a.st, nil
	case <-ctx.Done():
		return unix.Statfs_t{}, fmt.Errorf("statfs %s has not come back: %w", path, context.Cause(ctx))
	}
}
