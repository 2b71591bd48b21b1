// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// FSType is what mountinfo calls a client's mount.
const FSType = "fuse.glusterfs"

// find returns the slot's running client, or nil if it has none, keeps the mounts of dead ones, and removes what starts left that nobody has
// used, unless that is a mounter's to do. It reads mountinfo and /proc, and asks GlusterFS nothing. The caller has the slot's
// lock, so whatever is half done here is nobody's any more; with a mounter it only looks, and needs none.
func (s *slot) find() (_ *Client, err error) {
	starts, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	devices, err := s.mounted()
	if err != nil {
		return nil, err
	}
	var found *Client
	defer func() {
		if err != nil && found != nil {
			found.process.forget()
		}
	}()
	for _, entry := range starts {
		if !strings.HasPrefix(entry.Name(), startPrefix) {
			continue
		}
		start := filepath.Join(s.dir, entry.Name())
		var c *Client
		var keep bool
		c, keep, err = s.inspect(start, devices)
		switch {
		case err != nil:
			return nil, err
		case keep:
			continue
		case c != nil && found == nil:
			found = c
			continue
		case c != nil:
			c.process.forget() // a second one serves its binds without a mount here
			if s.host.mounter != nil {
				continue
			}
		}
		if err = discard(start); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// inspect returns the running client of one start, if it has one, and whether its directory must not be removed without, be it
// that it has become a kept mount.
func (s *slot) inspect(start string, devices map[string]mount.Device) (c *Client, keep bool, err error) {
	mountpoint := filepath.Join(start, mountName)
	device, isMounted := devices[mountpoint]
	pid, isReady := readyPID(start)
	var p *process
	if isReady {
		if p, err = watchClient(pid, mountpoint); err != nil {
			return nil, false, err
		}
	}
	switch {
	case p != nil && isMounted:
		return &Client{slot: s, process: p, mountpoint: mountpoint, device: device, adopted: true}, false, nil
	case p != nil:
		p.forget()
		return nil, true, nil // somebody unmounted it here; its binds need the process
	case s.host.mounter != nil:
		return nil, true, nil
	}
	if !isReady {
		if ended, err := endStray(mountpoint); ended || err != nil {
			return nil, false, err
		}
	}
	if isMounted {
		return nil, true, s.keep(start)
	}
	return nil, false, nil
}

// mounted lists the mounts of clients in this slot, as mount point → device.
func (s *slot) mounted() (map[string]mount.Device, error) {
	entries, err := mount.List()
	if err != nil {
		return nil, err
	}
	devices := map[string]mount.Device{}
	for _, e := range entries {
		if e.FSType == FSType && strings.HasPrefix(e.Target, s.dir+"/") {
			devices[e.Target] = e.Device
		}
	}
	return devices, nil
}

// watchClient watches the client with this mount point, or returns nil if that process ended.
func watchClient(pid int, mountpoint string) (*process, error) {
	p, err := watch(pid, false)
	if still, _ := clientMountpoint(pid); still != mountpoint {
		// The number is another's now: a process's, or a thread's, which cannot be watched.
		if err == nil {
			p.forget()
		}
		return nil, nil
	}
	return p, err
}

// endStray ends the client with this mount point, if it runs. Whoever started it was killed before it was ready: nobody has used
// it, and it may wait for a silent server for ever.
func endStray(mountpoint string) (bool, error) {
	processes, err := clientProcesses()
	if err != nil {
		return false, err
	}
	pid, isRunning := processes[mountpoint]
	if !isRunning {
		return false, nil
	}
	p, err := watchClient(pid, mountpoint)
	if err != nil || p == nil {
		return false, err
	}
	defer p.forget()
	return true, p.end()
}

// markReady says that the client may be in use from now on, and which process it is: others may not be able to tell, as they see
// other mounts, or would have to believe what processes of pods call themselves.
func markReady(mountpoint string, pid int) error {
	return os.WriteFile(filepath.Join(filepath.Dir(mountpoint), readyName), []byte(strconv.Itoa(pid)+"\n"), 0o600)
}

// readyPID is what markReady has said of one start.
func readyPID(start string) (pid int, ok bool) {
	data, err := os.ReadFile(filepath.Join(start, readyName))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	return pid, err == nil && pid > 0
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
