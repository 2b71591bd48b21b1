// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Held is a file system that stays the one with its device number, however many of its
// mounts are detached meanwhile. The kernel gives the number of one that is gone
// to the next at once, be that a container's tmpfs.
type Held struct {
	fd     int
	device Device
	places []location // where Repair leaves it alone
}

// location is a mount point, whatever the mount namespace: a path from the top of the file system that it is a
// directory (or file) of. It is the zero value where that file system cannot be seen.
type location struct {
	device Device
	path   string
}

// Hold holds the file system that is mounted at target, on top if there are several.
// It asks it nothing, so it may be dead or hung. Like an open file, it keeps what
// serves the file system from ending, if that still lives. It must be closed. Repair
// leaves the mount at target alone, and those at other names beside it in the same directory, which need not be there.
func Hold(target string, others ...string) (*Held, error) {
	fd, err := unix.Open(target, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("hold what is mounted at %s: %w", target, err)
	}
	m, mounts, err := mountOf(fd)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("hold what is mounted at %s: %w", target, err)
	}
	h := &Held{fd: fd, device: m.Device}
	if at := mounts.location(m); at != (location{}) {
		h.places = append(h.places, at)
		for _, name := range others {
			h.places = append(h.places, location{at.device, filepath.Join(filepath.Dir(at.path), name)})
		}
	}
	return h, nil
}

// Device is the number that no other file system has before Close.
func (h *Held) Device() Device { return h.device }

// Close lets go.
func (h *Held) Close() error { return unix.Close(h.fd) }

// mountOf returns the mount that fd is on, in the namespace of the calling thread, and all there are.
func mountOf(fd int) (*mounted, *table, error) {
	id, err := mountID("/proc", fd)
	if err != nil {
		return nil, nil, err
	}
	mounts, err := readTable("/proc")
	if err != nil {
		return nil, nil, err
	}
	m := mounts.byID[id]
	if m == nil {
		return nil, nil, fmt.Errorf("mount %d has been detached: %w", id, unix.ENOENT)
	}
	return m, mounts, nil
}

// mountID asks a mounted proc file system, because statx(2) would ask the one of fd.
func mountID(proc string, fd int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("%s/thread-self/fdinfo/%d", proc, fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if id, found := strings.CutPrefix(line, "mnt_id:"); found {
			return strconv.Atoi(strings.TrimSpace(id))
		}
	}
	return 0, fmt.Errorf("no mount ID in %q", text)
}
