// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// fsType is what mountinfo calls a client's mount.
const fsType = "fuse.glusterfs"

// find returns the slot's running client, or nil if it has none, and removes what dead ones left. It reads mountinfo and
// /proc, and asks GlusterFS nothing. The caller has the slot's lock, so whatever is half done here is nobody's any more.
func (s *slot) find(ctx context.Context) (*Client, error) {
	starts, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	devices, err := s.mounted()
	if err != nil {
		return nil, err
	}
	processes, err := clientProcesses()
	if err != nil {
		return nil, err
	}
	var found *Client
	for _, entry := range starts {
		if !strings.HasPrefix(entry.Name(), startPrefix) {
			continue
		}
		start := filepath.Join(s.dir, entry.Name())
		c, keep, err := s.inspect(start, devices, processes)
		switch {
		case err != nil:
			return nil, err
		case keep:
			continue
		case c != nil && found == nil:
			klog.FromContext(ctx).Info("Found a running client", "volume", s.volume, "options", s.options, "pid", c.process.pid, "mountpoint", c.mountpoint)
			found = c
			continue
		case c != nil:
			c.process.forget() // a second one serves its binds without a mount here
		}
		if err := discard(start); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// inspect returns the running client of one start, if it has one, and whether its directory must be kept without.
func (s *slot) inspect(start string, devices map[string]mount.Device, processes map[string]int) (c *Client, keep bool, err error) {
	mountpoint := filepath.Join(start, mountName)
	device, isMounted := devices[mountpoint]
	pid, isRunning := processes[mountpoint]
	if !isRunning {
		if isMounted {
			err = s.bury(mountpoint)
		}
		return nil, false, err
	}
	if _, err := os.Lstat(filepath.Join(start, readyName)); err != nil {
		// Whoever started it was killed meanwhile. Nobody has used it, and it may wait for a silent server for ever.
		return nil, false, endStray(pid, mountpoint)
	}
	if !isMounted {
		return nil, true, nil // somebody unmounted it here; its binds need the process, which is found again by this path
	}
	c, err = s.adoptProcess(pid, mountpoint, device)
	return c, false, err
}

// mounted lists the mounts of clients in this slot, as mount point → device.
func (s *slot) mounted() (map[string]mount.Device, error) {
	entries, err := mount.List()
	if err != nil {
		return nil, err
	}
	devices := map[string]mount.Device{}
	for _, e := range entries {
		if e.FSType == fsType && strings.HasPrefix(e.Target, s.dir+"/") {
			devices[e.Target] = e.Device
		}
	}
	return devices, nil
}

// adoptProcess returns the client with this process and mount, or nil if the process ended.
func (s *slot) adoptProcess(pid int, mountpoint string, device mount.Device) (*Client, error) {
	p, err := watchClient(pid, mountpoint)
	if err != nil || p == nil {
		return nil, err
	}
	return &Client{slot: s, process: p, mountpoint: mountpoint, device: device, adopted: true}, nil
}

// watchClient watches the client with this mount point, or returns nil if that process ended.
func watchClient(pid int, mountpoint string) (*process, error) {
	p, err := watch(pid, false)
	if err != nil {
		if _, gone := os.Stat(fmt.Sprintf("/proc/%d", pid)); errors.Is(gone, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	if still, _ := clientMountpoint(pid); still != mountpoint { // the pid was another's by the time it was watched
		p.forget()
		return nil, nil
	}
	return p, nil
}

func endStray(pid int, mountpoint string) error {
	p, err := watchClient(pid, mountpoint)
	if err != nil || p == nil {
		return err
	}
	defer p.forget()
	return p.end()
}

// markReady says that the client may be in use from now on.
func markReady(mountpoint string) error {
	return os.WriteFile(filepath.Join(filepath.Dir(mountpoint), readyName), nil, 0o600)
}

// discard unmounts a client here and removes its directory. The mount point's path ends first: whoever still has it, in order
// to work on the Gluster volume, gets "no such file" and never an empty directory of the local disk.
func discard(start string) error {
	gone := start
	if !strings.HasSuffix(start, goneSuffix) {
		gone += goneSuffix
		if err := os.Rename(start, gone); err != nil {
			return err
		}
	}
	mountpoint := filepath.Join(gone, mountName)
	if err := mount.Detach(mountpoint); err != nil {
		return err
	}
	for _, path := range []string{mountpoint, filepath.Join(gone, readyName), gone} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove a client's mount point: %w", err)
		}
	}
	return nil
}
