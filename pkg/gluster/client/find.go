// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// FSType is what mountinfo calls a client's mount.
const FSType = "fuse.glusterfs"

// startState is what became of one client that was started in a slot.
type startState struct {
	start     statedir.Start
	process   *process.Process // nil if it does not run
	device    mount.Device
	isMounted bool // at its own mount point, here
	isSpared  bool // its spare mount is there
	isReady   bool // it had answered, so it may have been in use
}

func (f *startState) isUsable() bool { return f.process != nil && f.isMounted }

// inspectStarts returns what became of all clients that were started in the slot and are not kept. It reads mountinfo
// and /proc, asks GlusterFS nothing, and changes nothing. The caller forgets the processes.
func (s *slot) inspectStarts() (all []startState, err error) {
	starts, err := s.dir.Starts()
	if err != nil {
		return nil, err
	}
	devices, err := s.mounted()
	if err != nil {
		return nil, err
	}
	for _, start := range starts {
		f := startState{start: start}
		f.device, f.isMounted = devices[start.Mountpoint()]
		_, f.isSpared = devices[start.Spare()]
		var pid int
		if pid, f.isReady = start.ReadyPID(); f.isReady {
			if f.process, err = process.WatchClient(pid, start.Mountpoint()); err != nil {
				stopWatching(all, nil)
				return nil, err
			}
		}
		all = append(all, f)
	}
	return all, nil
}

// mounted lists the mounts of clients in this slot, as mount point → device.
func (s *slot) mounted() (map[string]mount.Device, error) {
	entries, err := mount.List()
	if err != nil {
		return nil, err
	}
	devices := map[string]mount.Device{}
	for _, e := range entries {
		if e.FSType == FSType && s.dir.Contains(e.Target) {
			devices[e.Target] = e.Device
		}
	}
	return devices, nil
}

// stopWatching stops watching all processes but that of c.
func stopWatching(all []startState, c *Client) {
	for _, f := range all {
		if f.process != nil && (c == nil || c.process != f.process) {
			f.process.Forget()
		}
	}
}

// usable returns the first client that runs and is mounted here, or nil.
func (s *slot) usable(all []startState) *Client {
	for _, f := range all {
		if f.isUsable() {
			return (&Client{slot: s, process: f.process, mountpoint: f.start.Mountpoint(), adopted: true}).mounted(f.device)
		}
	}
	return nil
}

// find returns the slot's running client, or nil if it has none, keeps the mounts of dead ones, and removes what
// starts left that nobody has used.
func (s *slot) find(lock *statedir.Lock) (*Client, error) {
	all, err := s.inspectStarts()
	if err != nil {
		return nil, err
	}
	c := s.usable(all)
	defer func() { stopWatching(all, c) }()
	if c != nil { // it may be an older driver's
		if err := c.makeSpare(); err != nil {
			c = nil
			return nil, err
		}
	}
	for _, f := range all {
		if c != nil && f.process == c.process {
			continue
		}
		if err := s.cleanUp(f, lock); err != nil {
			c = nil
			return nil, err
		}
	}
	return c, nil
}

// cleanUp brings what is left of a client, other than the one in use, to its end.
func (s *slot) cleanUp(f startState, lock *statedir.Lock) error {
	switch {
	case f.isUsable(): // a second one serves its binds without a mount here
	case f.process != nil && f.isSpared: // somebody unmounted it here; its binds need the process until they are repaired
		return s.keepDeadMount(f.start, lock)
	case f.process != nil:
		return nil
	case !f.isReady:
		// Whoever started it was killed before it was ready: nobody has used it, and it may wait for a silent server
		// for ever.
		ended, err := process.EndClient(f.start.Mountpoint())
		if err != nil {
			return err
		}
		if !ended && f.isMounted {
			return s.keepDeadMount(f.start, lock)
		}
	case f.isMounted || f.isSpared:
		return s.keepDeadMount(f.start, lock)
	}
	return f.start.Discard()
}
