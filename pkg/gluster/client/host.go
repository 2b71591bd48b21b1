// SPDX-License-Identifier: Apache-2.0

// Package client is the clients of this host: one `glusterfs` FUSE process with one mount for each (Gluster volume,
// client options). It has one started where there is none (pkg starts), finds, watches and ends them, and has their logs
// rotated. What is mounted from them elsewhere is repaired and judged by the packages above.
//
// Clients outlive this process. What runs and what is mounted is read from /proc each time it matters and never
// remembered, so a driver that was killed finds all its clients again. Everything that waits on GlusterFS has a
// deadline. All of it may be called at the same time, and by several processes with one state directory.
//
// A client ends in one of three ways: idle, its mount is detached, and it ends by itself as its last user does; it
// hangs, and is killed; or it dies, and its mount is kept until nothing shows its device any more.
package client

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// Host is the clients of this host that have their state below one directory. Several processes may have a Host for
// the same directory (the driver, and an admin command beside it): they find each other's clients and never start one
// twice.
type Host struct {
	root     statedir.Root
	clusters *gluster.ClustersFile
	mounter  Mounter // nil: clients are started here

	grace    time.Duration    // idleGrace, but in tests
	now      func() time.Time // time.Now, but in tests of what hangs
	look     time.Duration    // LookInterval, but in tests
	lifetime context.Context  //nolint:containedctx // of starts, which outlive the calls that begin them
	end      context.CancelFunc
	starts   sync.WaitGroup
	ended    guarded[bool] // no start begins any more
	changed  chan struct{} // a client ended, or came
	logs     chan struct{} // a client came, so there is a log more

	apart *starts.Apart // how clients are started

	detached guarded[[]*Client] // as idle ones, that may not have ended yet
	slots    guarded[map[statedir.Slot]*slot]
	tallies  guarded[map[gluster.Volume]*Tally]
}

// NewHost returns the Host for a state directory, which it makes, after adopting the clients that run already. It
// does not wait for GlusterFS. Call Close when it is not needed any more.
func NewHost(stateDir string, clusters *gluster.ClustersFile) (*Host, error) {
	return makeHost(stateDir, clusters, nil)
}

func makeHost(stateDir string, clusters *gluster.ClustersFile, mounter Mounter) (*Host, error) {
	root, err := statedir.Open(stateDir)
	if err != nil {
		return nil, err
	}
	h := &Host{
		root: root, clusters: clusters, mounter: mounter, grace: idleGrace, now: time.Now, look: LookInterval,
		changed: make(chan struct{}, 1), logs: make(chan struct{}, 1), apart: starts.OpenApart(root),
	}
	h.slots.value = map[statedir.Slot]*slot{}
	h.lifetime, h.end = context.WithCancel(context.Background())
	h.Adopt(h.lifetime)
	return h, nil
}

// Keep makes this Host the one of its state directory that may Run, with its Repairer, until release is called. Its
// error is statedir.ErrKept, and says which process it is, while there is another one.
func (h *Host) Keep() (release func(), err error) {
	keeper, err := h.root.Keep()
	if err != nil {
		return nil, err
	}
	return keeper.Close, nil
}

// endStarts ends the starts under way with what they have started, and has none begin any more. What a start needs may not be taken away from
// it, and none may bring a client that nobody detaches (TestNoStartIsUnderWayWhenClientsAreDetachedForGood).
func (h *Host) endStarts() {
	h.ended.with(func(ended *bool) { *ended = true })
	h.end()
	h.starts.Wait()
}

// beginStart has endStarts wait for a start, until that calls end. It is nil after endStarts.
func (h *Host) beginStart() (end func()) {
	h.ended.with(func(ended *bool) {
		if !*ended {
			h.starts.Add(1)
			end = h.starts.Done
		}
	})
	return end
}

// Close ends the Host's goroutines, and starts under way with what they started. Running clients go on.
func (h *Host) Close() {
	h.endStarts()
	for _, s := range h.allSlots() {
		s.state.with((*slotState).close)
	}
}

// Clients lists the running clients, sorted by volume and options.
func (h *Host) Clients() []Info {
	var infos []Info
	for _, c := range h.Running() {
		infos = append(infos, c.Info())
	}
	slices.SortFunc(infos, func(a, b Info) int {
		if d := gluster.CompareVolumes(a.Volume, b.Volume); d != 0 {
			return d
		}
		return slices.Compare(a.Options, b.Options)
	})
	return infos
}

// ByDevice returns the running client whose mounts have this device, else ErrUnreachable. It asks GlusterFS nothing.
func (h *Host) ByDevice(device mount.Device) (*Client, error) {
	find := func() *Client {
		for _, c := range h.Running() {
			if c.device == device {
				return c
			}
		}
		return nil
	}
	c := find()
	if c == nil {
		h.Adopt(h.lifetime) // one that another process started
		c = find()
	}
	if c == nil {
		return nil, fmt.Errorf("%w: no client of this host serves device %d:%d (any more); publish the volume again",
			gluster.ErrUnreachable, device.Major, device.Minor)
	}
	return c, nil
}

// Serves says whether a running client has this device: a mount with another device and the type of a client is dead,
// or is not of this Host.
func (h *Host) Serves(device mount.Device) bool {
	_, err := h.ByDevice(device)
	return err == nil
}

// Shown says whether a device is that of a client of this Host for a Gluster volume, be it running or dead: a dead one's
// own mount is kept as long as anything else shows its device. Another mount of the same Gluster volume, made by
// somebody else, is none. entries are what is mounted here.
func (h *Host) Shown(device mount.Device, v gluster.Volume, entries []mount.Entry) bool {
	if c, err := h.ByDevice(device); err == nil {
		return c.Volume() == v
	}
	return slices.ContainsFunc(entries, func(e mount.Entry) bool {
		return e.Device == device && h.root.ContainsFor(v, e.Target)
	})
}

// Owns says whether a mount point is that of a client of this Host rather than a bind mount of it.
func (h *Host) Owns(target string) bool { return h.root.Contains(target) }

// Shows says whether a mount shows the Gluster volume with this name, by whichever client.
func Shows(e mount.Entry, volumeName string) bool {
	return e.FSType == starts.FSType && strings.HasSuffix(e.Source, ":/"+volumeName)
}

// Running lists the clients whose processes run.
func (h *Host) Running() []*Client {
	var clients []*Client
	for _, s := range h.allSlots() {
		if c := from(&s.state, (*slotState).latest); c != nil && !c.HasEnded() {
			clients = append(clients, c)
		}
	}
	return clients
}

// allSlots are sorted, so that what is told of several clients is not told in another way each time.
func (h *Host) allSlots() []*slot {
	return from(&h.slots, func(slots *map[statedir.Slot]*slot) []*slot {
		return slices.SortedFunc(maps.Values(*slots), func(a, b *slot) int { return cmp.Compare(a.dir, b.dir) })
	})
}

func (h *Host) slot(v gluster.Volume, options []string) *slot {
	dir := h.root.Slot(v, options)
	return from(&h.slots, func(slots *map[statedir.Slot]*slot) *slot {
		s := (*slots)[dir]
		if s == nil {
			s = &slot{host: h, dir: dir, volume: v, options: options}
			(*slots)[dir] = s
		}
		return s
	})
}

// Adopt finds the clients that run already, in all slots that have none, and keeps the mounts of those that have died
// (see KeptMounts). A slot in which another process is starting or stopping a client at this moment is left for the
// next time.
func (h *Host) Adopt(ctx context.Context) {
	logger := klog.FromContext(ctx)
	dirs, err := h.root.Slots()
	if err != nil {
		logger.Error(err, "Cannot look for clients", "directory", h.root)
		return
	}
	for _, dir := range dirs {
		d, err := dir.Description()
		if err != nil {
			logger.Error(err, "Cannot tell whose client this is; it is left alone", "directory", dir)
			continue
		}
		if s := h.slot(d.Volume, d.Options); s.dir == dir {
			if err := s.adopt(ctx); err != nil {
				logger.Error(err, "Cannot adopt a client", "volume", d.Volume, "options", d.Options)
			}
		}
	}
}
