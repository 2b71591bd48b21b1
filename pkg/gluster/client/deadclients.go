// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// recently is how long ago a death still counts as one of several that have a cause in common.
const recently = 10 * time.Minute

// KeptMount is the own mount of a client that has died, or was replaced, which is kept for as long as anything else may show its device.
type KeptMount struct {
	Volume  gluster.Volume
	Options []string       // normalized
	Slot    string         // the same for all clients with this volume and these options
	Start   statedir.Start // whose mounts are those that are kept: its spare one at least
	Deaths  Deaths         // of all clients of the slot
}

// Deaths counts the clients of one slot that this Host saw end.
type Deaths struct {
	All    int
	Recent int // in the ten minutes up to the last one
}

// KeptMounts lists the mounts of dead clients that are kept, sorted by slot. Some may have been detached since, by a
// reboot or by hand.
func (h *Host) KeptMounts() ([]KeptMount, error) {
	var kept []KeptMount
	var errs []error
	for _, s := range h.allSlots() {
		starts, err := s.dir.Kept()
		errs = append(errs, err)
		for _, start := range starts {
			kept = append(kept, KeptMount{
				Volume: s.volume, Options: s.options, Slot: string(s.dir), Start: start,
				Deaths: from(&s.state, (*slotState).countedDeaths),
			})
		}
	}
	return kept, errors.Join(errs...)
}

// Discard detaches a kept mount: nothing shows its device any more.
func (h *Host) Discard(k KeptMount) error { return k.Start.Discard() }

// TellStale has every Host of the state directory know, by Stale, what stays dead in containers. It is for who repairs.
func (h *Host) TellStale(all []statedir.Stale) error { return h.root.WriteStale(all) }

// Stale is what stays dead in containers of this host, as the last process has told that repairs.
func (h *Host) Stale() ([]statedir.Stale, error) { return h.root.Stale() }

// Holders is who keeps files of ended clients open, as the last process has told that looks for it.
func (h *Host) Holders() ([]statedir.Holder, error) { return h.root.Holders() }

// StateDir is what is on disk for other processes to know.
func (h *Host) StateDir() statedir.Root { return h.root }

// Dead is a client whose process has ended and whose own mount is still there.
type Dead struct {
	Volume   gluster.Volume
	Device   mount.Device
	Replaced bool // a client runs that was to take its place
}

// Dead lists the dead clients whose own mounts are among these entries, which are all mounts of this mount namespace,
// and those that have not been looked for since they ended.
func (h *Host) Dead(entries []mount.Entry) []Dead {
	byDevice := map[mount.Device]Dead{}
	for _, s := range h.allSlots() {
		c := from(&s.state, (*slotState).latest)
		replaced := c != nil && !c.HasEnded()
		if c != nil && !replaced {
			byDevice[c.device] = Dead{Volume: s.volume, Device: c.device}
		}
		for _, e := range entries {
			if s.dir.IsKept(e.Target) {
				byDevice[e.Device] = Dead{Volume: s.volume, Device: e.Device, Replaced: replaced}
			}
		}
	}
	for _, c := range h.Running() {
		delete(byDevice, c.device) // the kernel has given the number away
	}
	return slices.SortedFunc(maps.Values(byDevice), func(a, b Dead) int {
		return int(a.Device.Minor) - int(b.Device.Minor)
	})
}

// Changes delivers something after a client has ended or come. It is for one receiver; what it missed while it was
// busy is one delivery.
func (h *Host) Changes() <-chan struct{} { return h.changed }

func (h *Host) tellChange() { tell(h.changed) }

// tell delivers something to the receiver, who has it coming already or gets it soon.
func tell(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// keepDeadMount keeps the mounts of a dead client, for as long as anything else may show its device.
func (s *slot) keepDeadMount(start statedir.Start, lock *statedir.Lock) error {
	if err := lock.Keep(start); err != nil {
		return err
	}
	s.host.tellChange()
	return nil
}

// watchDeath counts the client's death when its process ends.
func (h *Host) watchDeath(c *Client) {
	select {
	case <-c.process.Exited():
		h.apart.Sweep()
		if c.replaced.Load() {
			return
		}
		c.slot.state.with(func(s *slotState) { s.countDeath(time.Now()) })
		h.countDeath(c)
		h.tellChange()
	case <-h.lifetime.Done():
	}
}
