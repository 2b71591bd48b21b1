// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/singleflight"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	mountutils "k8s.io/mount-utils"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// NodeGetVolumeStats returns the bytes and inodes of the filesystem at the path. They are those of the whole Gluster
// volume; where the directory has a limit, the bytes are those of the limit. NotFound where the mount shows another
// directory than the volume's.
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
	top := at[len(at)-1]
	c, err := n.host.ByDevice(top.Device)
	if err != nil {
		return nil, err
	}
	if c.Volume() != id.Volume { // of the same name, in another cluster
		return nil, status.Errorf(codes.NotFound, "volume %s is not published at %s: a directory of %s is", id, path, c.Volume())
	}
	// A client that does not answer is asked once, not once for each of its targets.
	if err := c.Probe(ctx); err != nil {
		return nil, err
	}
	st, err := n.stats.ask(ctx, id, path, func(ctx context.Context) (unix.Statfs_t, error) {
		return n.figures(ctx, id, c, top)
	})
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

// figures returns those of the file system at a mount, after a look at whether it shows the volume. It may block for
// ever.
func (n *node) figures(
	ctx context.Context, id volume.ID, c *client.Client, at mount.Entry,
) (st unix.Statfs_t, err error) {
	shown, err := safepath.OpenRoot(at.Target)
	isShown := false
	if err == nil {
		defer shown.Close()
		isShown, err = n.shows(ctx, id, c, at, shown)
	}
	if err == nil && isShown {
		err = n.stats.permitted(ctx, c, func() (err error) { st, err = shown.Statfs(); return err })
	}
	if errors.Is(err, unix.ESTALE) { // the directory was removed: its client has answered a moment ago
		isShown, err = false, nil
	}
	if err == nil && !isShown {
		err = status.Errorf(codes.NotFound, "volume %s is not what %s shows: that is a directory which was at %s and is not any more, or was never the volume's; "+
			"was the volume deleted (see `glusterfs-csi trash list`)? publish it again", id, at.Target, at.Root)
	}
	return st, err
}

// shows says whether what is mounted is the volume's directory. By then that may be in the trash, or another may have its
// place: a mount keeps to the directory, and would give the figures of what nobody asks for.
func (n *node) shows(
	ctx context.Context, id volume.ID, c *client.Client, at mount.Entry, shown *safepath.Dir,
) (isShown bool, err error) {
	access := lifecycle.Access{ID: id.ID, ReadOnly: true}
	err = n.volumes.Publish(ctx, id, c.Info().Options, access, func(fd int, _ string) (err error) {
		isShown, err = isSame(fd, shown.Fd())
		return err
	})
	switch {
	case errors.Is(err, volume.ErrNotFound), // it has no record: an operator's directory, or no volume any more
		errors.Is(err, volume.ErrCorrupt), errors.Is(err, volume.ErrNewer): // it has one that says nothing to this driver
		err = n.stats.permitted(ctx, c, func() (err error) { isShown, err = isAtItsPath(c, at, shown); return err })
	}
	return isShown, err
}

// isAtItsPath says whether a mount shows what is at the path from which it was made, and that is for volumes.
func isAtItsPath(c *client.Client, at mount.Entry, shown *safepath.Dir) (bool, error) {
	if at.Root == lifecycle.WholePath {
		return true, nil
	}
	rel := strings.TrimPrefix(at.Root, "/")
	if volume.CheckPath(rel) != nil { // the trash, or what the kernel calls //deleted
		return false, nil
	}
	root, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		return false, err
	}
	defer root.Close()
	dir, err := root.Open(rel)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close()
	return isSame(dir.Fd(), shown.Fd())
}

// isSame says whether two descriptors of directories of one Gluster volume are of the same. The kernel knows that by
// itself.
func isSame(a, b int) (bool, error) {
	var of [2]unix.Statx_t
	for i, fd := range []int{a, b} {
		if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &of[i]); err != nil {
			return false, err
		}
	}
	return of[0].Ino == of[1].Ino, nil
}

// statter asks for the numbers of a volume at a path, once at a time for each: a call that has not come back is waited
// for, not repeated.
type statter struct {
	permits *permits.Pool
	calls   singleflight.Group
}

// permitted asks the client, as soon as there is a permit.
func (s *statter) permitted(ctx context.Context, c *client.Client, ask func() error) error {
	permit, err := s.permits.Acquire(ctx, c.Volume())
	if err != nil {
		return fmt.Errorf("%w: %w", volume.ErrBusy, err)
	}
	defer permit.Release()
	if err := c.Probe(ctx); err != nil { // it may have waited
		return err
	}
	return ask()
}

func (s *statter) ask(
	ctx context.Context, id volume.ID, path string, figures func(context.Context) (unix.Statfs_t, error),
) (unix.Statfs_t, error) {
	result := s.calls.DoChan(id.String()+" "+path, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rpcTimeout) // the first who asks may leave before others
		defer cancel()
		var st unix.Statfs_t
		err := panics.Guard("figures of volume "+id.String(), func() (err error) { st, err = figures(ctx); return err })
		return st, err
	})
	select {
	case r := <-result:
		st, _ := r.Val.(unix.Statfs_t)
		var errno unix.Errno
		switch {
		// By kubelet's own list: what it takes for a dead mount is said to be one.
		case mountutils.IsCorruptedMnt(r.Err):
			return st, status.Errorf(codes.Unavailable, "statfs %s: %v: its client has ended, or has lost its bricks; the driver repairs the mount as soon as they are back; if it stays so, publish the volume again", path, r.Err)
		case errors.As(r.Err, &errno) && status.Code(r.Err) == codes.Unknown:
			return st, status.Errorf(codes.Unavailable, "statfs %s: %v; if it stays so, publish the volume again", path, r.Err)
		}
		return st, r.Err
	case <-ctx.Done():
		return unix.Statfs_t{}, fmt.Errorf("statfs %s has not come back: %w", path, context.Cause(ctx))
	}
}
