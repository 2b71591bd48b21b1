// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

// hierarchy is one hierarchy of control groups, as this process reaches the whole of it.
type hierarchy struct {
	v2          bool
	controllers []string // of version 1, with name=… of one that has none
	prefix      string   // of its directories that is not part of a group's path
	base        string   // directory of the group below which the group of all pods is
	isBelow     bool     // this process is in a group below the base
}

func (h hierarchy) isMemory() bool { return slices.Contains(h.controllers, "memory") }

// limit sets the limits of a group.
func (h hierarchy) limit(dir string, limits Limits) error {
	files := map[string]int64{"memory.limit_in_bytes": limits.Max}
	none := "-1"
	if h.v2 {
		files = map[string]int64{"memory.high": limits.High, "memory.max": limits.Max}
		none = "max"
	}
	for file, bytes := range files {
		text := none
		if bytes > 0 {
			text = strconv.FormatInt(bytes, 10)
		}
		err := write(dir, file, text)
		if bytes == 0 && errors.Is(err, os.ErrNotExist) {
			continue // of a kernel that limits nothing
		}
		if err != nil {
			return fmt.Errorf("%w: set %s of a control group: %w", ErrNoLimit, file, err)
		}
	}
	return nil
}

// hierarchies finds all hierarchies that this process is in. The whole of each shows in what the host's first process has mounted; a
// container has mounted its own part alone, with its own group as the root.
func hierarchies() ([]hierarchy, error) {
	own, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil {
		return nil, err
	}
	entries := mounted("/proc/1/mountinfo", "/proc/1/root")
	entries = append(entries, mounted("/proc/thread-self/mountinfo", "")...)
	var all []hierarchy
	for line := range strings.Lines(string(own)) {
		h, path, ok := parseLine(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		i := slices.IndexFunc(entries, func(m mountedHierarchy) bool { return m.isOf(h) })
		if i < 0 {
			return nil, fmt.Errorf("the whole hierarchy %q is not to be seen, neither by this host's first process (hostPID: true) nor here", h.name())
		}
		h.prefix = entries[i].dir
		h.base, h.isBelow = filepath.Join(h.prefix, baseOf(path)), baseOf(path) != path
		all = append(all, h)
	}
	if len(all) == 0 {
		return nil, errors.New("this process is in none")
	}
	return all, nil
}

func (h hierarchy) name() string {
	if h.v2 {
		return "version 2"
	}
	return strings.Join(h.controllers, ",")
}

// isTooSmall fails where a group has not got this limit and uses so much that it would be ended by it, at once or soon (version 2 kills to get there).
func (h hierarchy) isTooSmall(dir string, limit int64) error {
	used, now := "memory.usage_in_bytes", "memory.limit_in_bytes"
	if h.v2 {
		used, now = "memory.current", "memory.max"
	}
	const margin = 8 // an eighth of what is used
	if bytes, ok := number(dir, used); limit == 0 || !ok || bytes+bytes/margin <= limit {
		return nil // without a count there is no limit, and limit says so
	}
	if bytes, ok := number(dir, now); ok && bytes <= limit {
		return nil // it has a smaller one
	}
	return fmt.Errorf("%w: it uses too much for one of %d bytes, which would end it; it gets it when it is replaced: glusterfs-csi clients replace", ErrNoLimit, limit)
}

// number reads a file of a group that has a number in it; "max" is none.
func number(dir, file string) (n int64, ok bool) {
	text, errRead := os.ReadFile(filepath.Join(dir, file))
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, errRead == nil && err == nil
}

// parseLine parses a line of /proc/PID/cgroup: ID:controllers:path, with ID 0 for version 2.
func parseLine(line string) (h hierarchy, path string, ok bool) {
	const parts = 3
	fields := strings.SplitN(line, ":", parts)
	if len(fields) != parts {
		return h, "", false
	}
	if fields[1] == "" {
		return hierarchy{v2: true}, fields[2], fields[0] == "0"
	}
	return hierarchy{controllers: strings.Split(fields[1], ",")}, fields[2], true
}

// baseOf is the group below which kubelet has that of all pods, by the path of one in a pod: kubepods by its driver cgroupfs, kubepods.slice by its
// driver systemd, with the names of its --cgroup-root before. It is the root for what is in no pod.
func baseOf(path string) string {
	components := strings.Split(path, "/")
	i := slices.IndexFunc(components, func(name string) bool {
		name = strings.TrimSuffix(name, ".slice")
		return name == "kubepods" || strings.HasSuffix(name, "-kubepods")
	})
	if i <= 0 {
		return "/"
	}
	return "/" + strings.Join(components[1:i], "/")
}

// mountedHierarchy is the whole of a hierarchy, mounted at a directory.
type mountedHierarchy struct {
	dir     string
	v2      bool
	options []string
}

func (m mountedHierarchy) isOf(h hierarchy) bool {
	if h.v2 || m.v2 {
		return h.v2 == m.v2
	}
	return !slices.ContainsFunc(h.controllers, func(c string) bool { return !slices.Contains(m.options, c) })
}

// mounted lists what is mounted by this mountinfo and can be reached from here below root.
func mounted(mountinfo, root string) (found []mountedHierarchy) {
	file, err := os.Open(mountinfo)
	if err != nil {
		return nil
	}
	defer file.Close()
	entries, err := mount.Parse(file)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.Root != "/" || e.FSType != "cgroup" && e.FSType != "cgroup2" {
			continue
		}
		dir := filepath.Join(root, e.Target)
		if _, err := os.Stat(filepath.Join(dir, procs)); err == nil {
			found = append(found, mountedHierarchy{dir: dir, v2: e.FSType == "cgroup2", options: strings.Split(e.SuperOptions, ",")})
		}
	}
	return found
}

// inInitsNamespace does something in the cgroup namespace of the host's first process, where this process may enter it: in one of its own a container's
// group is the root, and no process may leave it.
func inInitsNamespace(do func() error) error {
	fd, err := unix.Open("/proc/1/ns/cgroup", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return do()
	}
	defer unix.Close(fd)
	return thread.Discard(func() error {
		if err := unix.Setns(fd, unix.CLONE_NEWCGROUP); err != nil {
			return fmt.Errorf("enter the cgroup namespace of this host's first process: %w", err)
		}
		return do()
	})
}
