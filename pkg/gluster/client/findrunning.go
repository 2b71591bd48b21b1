// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// findRunning returns the slot's running client, or nil if it has none, keeps the mounts of dead ones, and removes what
// starts left that nobody has used.
func (s *slot) findRunning(lock *statedir.Lock) (*Client, error) {
	all, err := starts.Inspect(s.dir)
	if err != nil {
		return nil, err
	}
	var found *process.Process // that is watched on
	defer func() { starts.StopWatching(all, found) }()
	r := starts.Usable(s.host.lifetime, all)
	if r != nil { // it may be an older driver's
		if err := r.MakeSpare(); err != nil {
			return nil, err
		}
	}
	for _, o := range all {
		if r != nil && o.Process == r.Process {
			continue
		}
		if err := s.cleanUp(o, lock); err != nil {
			return nil, err
		}
	}
	if r == nil {
		return nil, nil
	}
	found = r.Process
	return s.adopted(r), nil
}

// adopted is a client that another process, or another Host, has started.
func (s *slot) adopted(r *starts.Running) *Client {
	c := s.client(r)
	c.adopted = true
	return c
}

// cleanUp brings what is left of a client, other than the one in use, to its end.
func (s *slot) cleanUp(o starts.Outcome, lock *statedir.Lock) error {
	switch {
	case o.IsUsable(), // who was to replace one by the other was killed (TestAReplacementWhoseProcessIsKilledLeavesNoMountBehind)
		o.Process != nil && o.IsSpared: // somebody unmounted it here; its binds need the process until they are repaired
		return s.keepDeadMount(o.Start, lock)
	case o.Process != nil:
		return nil
	case !o.IsReady:
		// Whoever started it was killed before it was ready: nobody has used it, and it may wait for a silent server
		// for ever.
		ended, err := process.EndClient(o.Start.Mountpoint(), s.host.processesApart())
		if err != nil {
			return err
		}
		if !ended && o.IsMounted {
			return s.keepDeadMount(o.Start, lock)
		}
	case o.IsMounted || o.IsSpared:
		return s.keepDeadMount(o.Start, lock)
	}
	return o.Start.Discard()
}
