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

	prober *probe.Prober // from when it is mounted
}

// mounted is for a client that is mounted at its own mount point.
func (c *Client) mounted(device mount.Device) *Client {
	c.device, c.since, c.prober = device, time.Now(), probe.New(c.slot.host.lifetime, c.process, c.mountpoint, device)
	return c
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
}

// Info describes the client.
func (c *Client) Info() Info {
	return Info{
		Volume: c.slot.volume, Options: slices.Clone(c.slot.options), PID: c.process.PID,
		Mountpoint: c.mountpoint, Device: c.device, Adopted: c.adopted,
	}
}

// Hold keeps the Host from detaching the client until release is called, which may be called more than once.
func (c *Client) Hold() (release func()) {
	c.slot.state.with(func(s *slotState) { s.hold(c) })
	return sync.OnceFunc(func() { c.slot.state.with(func(s *slotState) { s.release(c) }) })
}
