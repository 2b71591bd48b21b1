// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/programs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// Client is one running client: a process with a mount of its Gluster volume's root.
type Client struct {
	slot       *slot
	process    *process.Process
	mountpoint string
	device     mount.Device
	adopted    bool
	replaced   atomic.Bool // by another, while it ran
	detached   atomic.Bool // as an idle one
	hung       atomic.Bool // and was killed for it
	since      time.Time   // this process knows it

	prober *probe.Prober
}

// client is one of the slot.
func (s *slot) client(r *starts.Running) *Client {
	return &Client{slot: s, process: r.Process, mountpoint: r.Mountpoint, device: r.Device, prober: r.Prober, since: r.Since}
}

// Volume is what the client mounts.
func (c *Client) Volume() gluster.Volume { return c.slot.volume }

// Mountpoint is where the Gluster volume's root is mounted. After the client's end the path leads nowhere; it never
// is another directory.
func (c *Client) Mountpoint() string { return c.mountpoint }

// Device is that of every mount of this client.
func (c *Client) Device() mount.Device { return c.device }

// HasEnded says whether the client's process has ended.
func (c *Client) HasEnded() bool { return c.process.HasExited() }

// Slot is the same for all clients of this host with the same volume and options, one after the other.
func (c *Client) Slot() string { return string(c.slot.dir) }

// Info describes a client at one moment.
type Info struct {
	Volume     gluster.Volume `json:"volume"`
	Options    []string       `json:"options"` // normalized
	PID        int            `json:"pid"`
	Mountpoint string         `json:"mountpoint"`
	Device     mount.Device   `json:"device"`
	Adopted    bool           `json:"adopted"` // another process, or another Host, started it
	// Program is the version of GlusterFS that it runs, and Group its control group, of a client that is kept apart; else "".
	Program string `json:"program,omitempty"`
	Group   string `json:"group,omitempty"`
	// Outdated says that a client that is started now has other programs, or finds hosts by other names, or is kept apart where this one is not.
	Outdated bool `json:"outdated,omitempty"`
}

// Info describes the client.
func (c *Client) Info() Info {
	return Info{
		Volume: c.slot.volume, Options: slices.Clone(c.slot.options), PID: c.process.PID,
		Mountpoint: c.mountpoint, Device: c.device, Adopted: c.adopted, Program: programs.Of(c.process.PID), Group: c.slot.host.apart.Group(c.slot.volume, statedir.StartOf(c.mountpoint)),
		Outdated: c.slot.host.apart.IsOutdated(c.process.PID),
	}
}

// BindsNothing says that nothing is ever bound from the client, which is for one task: see gluster.BindsNothing.
func (c *Client) BindsNothing() bool { return gluster.BindsNothing(c.slot.options) }

// Hold keeps the Host from detaching the client until release is called, which may be called more than once.
func (c *Client) Hold() (release func()) {
	c.slot.state.with(func(s *slotState) { s.hold(c) })
	return sync.OnceFunc(func() { c.slot.state.with(func(s *slotState) { s.release(c) }) })
}
