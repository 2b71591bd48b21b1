// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// Outcome is what became of one client that was started in a slot.
type Outcome struct {
	Start     statedir.Start
	Process   *process.Process // nil if it does not run
	IsMounted bool             // at its own mount point, here
	IsSpared  bool             // its spare mount is there
	IsReady   bool             // it had answered, so it may have been in use

	device mount.Device
}

// IsUsable says that the client runs and is mounted here.
func (o *Outcome) IsUsable() bool { return o.Process != nil && o.IsMounted }

// Inspect returns what became of all clients that were started in the slot and are not kept. It reads mountinfo
// and /proc, asks GlusterFS nothing, and changes nothing. The caller forgets the processes.
func Inspect(slot statedir.Slot) (all []Outcome, err error) {
	starts, err := slot.Starts()
	if err != nil {
		return nil, err
	}
	devices, err := mounted(slot)
	if err != nil {
		return nil, err
	}
	for _, start := range starts {
		o := Outcome{Start: start}
		o.device, o.IsMounted = devices[start.Mountpoint()]
		_, o.IsSpared = devices[start.Spare()]
		var pid int
		if pid, o.IsReady = start.ReadyPID(); o.IsReady {
			if o.Process, err = process.WatchClient(pid, start.Mountpoint()); err != nil {
				StopWatching(all, nil)
				return nil, err
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// mounted lists the mounts of clients in this slot, as mount point → device.
func mounted(slot statedir.Slot) (map[string]mount.Device, error) {
	entries, err := mount.List()
	if err != nil {
		return nil, err
	}
	devices := map[string]mount.Device{}
	for _, e := range entries {
		if e.FSType == FSType && slot.Contains(e.Target) {
			devices[e.Target] = e.Device
		}
	}
	return devices, nil
}

// StopWatching stops watching all processes but this one.
func StopWatching(all []Outcome, but *process.Process) {
	for _, o := range all {
		if o.Process != nil && o.Process != but {
			o.Process.Forget()
		}
	}
}

// Usable returns the first client that runs and is mounted here, or nil. Questions to it end with lifetime.
func Usable(lifetime context.Context, all []Outcome) *Running {
	for _, o := range all {
		if o.IsUsable() {
			r := &Running{Process: o.Process, Mountpoint: o.Start.Mountpoint()}
			r.mounted(lifetime, o.device)
			return r
		}
	}
	return nil
}
