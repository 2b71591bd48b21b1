// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// client is a running client of the mounter.
type client struct {
	pid        int
	mountpoint string
	device     uint64 // as stat(2) tells it
}

// ofClients are the mounts of GlusterFS clients.
func ofClients(all []mount.Entry) []mount.Entry {
	return slices.DeleteFunc(all, func(e mount.Entry) bool { return e.FSType != "fuse.glusterfs" })
}

func deviceNumber(d mount.Device) uint64 { return unix.Mkdev(d.Major, d.Minor) }

// clients finds the mounter's clients, sorted by mount point. One that is not mounted yet is
// left out.
func (d *driver) clients() ([]client, error) {
	all, err := mount.List()
	if err != nil {
		return nil, err
	}
	processes, err := processesOf(filepath.Join(d.state(), "clients") + "/")
	if err != nil {
		return nil, err
	}
	var found []client
	for _, e := range ofClients(all) {
		if pid := processes[e.Target]; pid != 0 {
			found = append(found, client{pid, e.Target, deviceNumber(e.Device)})
		}
	}
	slices.SortFunc(found, func(a, b client) int { return strings.Compare(a.mountpoint, b.mountpoint) })
	return found, nil
}

// processesOf finds the processes whose last argument is a path with this beginning.
func processesOf(prefix string) (map[string]int, error) {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, path := range commands {
		command, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(strings.TrimRight(string(command), "\x00"), "\x00")
		if last := args[len(args)-1]; len(args) > 1 && strings.HasPrefix(last, prefix) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if known := found[last]; known == 0 || pid < known { // a client's short-lived child looks like it
				found[last] = pid
			}
		}
	}
	return found, nil
}

// gone waits until processes have ended, whosever children they are.
func gone(ctx context.Context, pids ...int) error {
	for _, pid := range pids {
		if err := goneOne(ctx, pid); err != nil {
			return fmt.Errorf("process %d: %w", pid, err)
		}
	}
	return nil
}

func goneOne(ctx context.Context, pid int) error {
	const glance = 20 // milliseconds until ctx is looked at again
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, glance)
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("it has not ended: %w", ctx.Err())
		}
	}
}
