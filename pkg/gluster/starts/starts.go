// SPDX-License-Identifier: Apache-2.0

// Package starts is one start of a client: the servers are asked which of them answers, its process is launched on a
// fresh mount point, with what it needs to outlive this process's container where that is wanted (Apart), and it is
// waited for until it is mounted and answers. Where it does not come to that, nothing of it is left, and the error says
// why and what helps. What became of each start is found out again from /proc and mountinfo (Inspect), by whichever
// process.
//
// Who wants a client, for how long, and what follows its end is not for this package: see pkg client.
package starts

import (
	"context"
	"errors"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// FSType is what mountinfo calls a client's mount.
const FSType = "fuse.glusterfs"

// Running is a client that was started.
type Running struct {
	Process    *process.Process
	Mountpoint string

	// From when it is mounted there:
	Device mount.Device
	Prober *probe.Prober
	Since  time.Time // this process knows it
}

// mounted is for a client that is mounted at its own mount point. Questions to it end with lifetime.
func (r *Running) mounted(lifetime context.Context, device mount.Device) {
	r.Device, r.Since, r.Prober = device, time.Now(), probe.New(lifetime, r.Process, r.Mountpoint, device)
}

// MakeUsable gives a client its spare mount, and says on disk that it may be in use from then on. After an error the
// caller abandons it.
func (r *Running) MakeUsable() error {
	return errors.Join(r.MakeSpare(), statedir.StartOf(r.Mountpoint).MarkReady(r.Process.PID))
}

// MakeSpare gives the client its spare mount, if it has none. It asks GlusterFS nothing.
func (r *Running) MakeSpare() error {
	root, err := safepath.OpenRoot(r.Mountpoint)
	if err != nil {
		return err
	}
	defer root.Close()
	return statedir.StartOf(r.Mountpoint).MakeSpare(root.Fd())
}
