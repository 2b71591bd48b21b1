// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// table is what is mounted in one namespace, and on what. Every question about one mount costs the same, however many
// there are: a namespace may have 100,000.
type table struct {
	all      []*mounted // in mountinfo's order
	byID     map[int]*mounted
	children map[int][]*mounted // by the ID of the mount that they are mounted on
	occupied map[mountpoint]bool
	byDevice map[Device][]*mounted

	began time.Time     // when it began to be read
	took  time.Duration // how long that took
}

// mountpoint is where something is mounted: on which mount, and at which path.
type mountpoint struct {
	on     int
	target string
}

// mounted is a mount with all its attributes, some of which Entry leaves out.
type mounted struct {
	Entry

	attributes attributes
	access     access
}

// access is whether a path leads to the place of a mount: unknown until somebody asks.
type access int

const (
	unknown access = iota
	accessible
	inaccessible
)

// attributes are those of one mount, for mount_setattr(2) and for mount(2).
type attributes struct {
	attr uint64
	ms   uintptr
}

var attributeOptions = map[string]attributes{
	"ro":          {unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY},
	"nosuid":      {unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
	"nodev":       {unix.MOUNT_ATTR_NODEV, unix.MS_NODEV},
	"noexec":      {unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
	"noatime":     {unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME},
	"nodiratime":  {unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME},
	"relatime":    {unix.MOUNT_ATTR_RELATIME, unix.MS_RELATIME},
	"nosymfollow": {unix.MOUNT_ATTR_NOSYMFOLLOW, unix.MS_NOSYMFOLLOW},
}

// everyAttribute is what a mount is to lose before it gets its own. It leaves out
// nosymfollow, which mount_setattr(2) does not know before Linux 5.14, and which no
// file system mounts itself with.
const everyAttribute = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV |
	unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME

// readTable reads what is mounted in the mount namespace of the calling thread, seen from its root. proc is a mounted
// proc file system.
func readTable(proc string) (*table, error) {
	began := time.Now()
	data, err := readMountinfo(proc + "/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	t, err := parseTable(string(data))
	if err != nil {
		return nil, err
	}
	t.began, t.took = began, time.Since(began)
	return t, nil
}

func parseTable(mountinfo string) (*table, error) {
	t := &table{byID: map[int]*mounted{}, children: map[int][]*mounted{}, occupied: map[mountpoint]bool{}, byDevice: map[Device][]*mounted{}}
	for line := range strings.Lines(mountinfo) {
		entry, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("mountinfo: %w: %q", err, line)
		}
		m := &mounted{Entry: entry, attributes: parseAttributes(strings.Split(line, " ")[5])}
		t.all = append(t.all, m)
		t.byID[m.ID] = m
		t.byDevice[m.Device] = append(t.byDevice[m.Device], m)
		if m.Parent != m.ID {
			t.children[m.Parent] = append(t.children[m.Parent], m)
			t.occupied[mountpoint{m.Parent, m.Target}] = true
		}
	}
	return t, nil
}

func parseAttributes(options string) attributes {
	var a attributes
	for option := range strings.SplitSeq(options, ",") {
		known := attributeOptions[option]
		a.attr |= known.attr
		a.ms |= known.ms
	}
	if a.ms&(unix.MS_RELATIME|unix.MS_NOATIME) == 0 { // strictatime, which mountinfo does not name
		a.attr |= unix.MOUNT_ATTR_STRICTATIME
		a.ms |= unix.MS_STRICTATIME
	}
	return a
}

// parent returns nil for the first mount of a namespace, and for what is mounted on
// one that cannot be seen from its root.
func (t *table) parent(m *mounted) *mounted {
	if m.Parent == m.ID {
		return nil
	}
	return t.byID[m.Parent]
}

// location tells where m is mounted, in a way that is the same in every namespace.
func (t *table) location(m *mounted) location {
	parent := t.parent(m)
	if parent == nil {
		return location{}
	}
	path, ok := below(parent.Target, m.Target)
	if !ok {
		return location{}
	}
	return location{parent.Device, filepath.Join(parent.Root, path)}
}

// isVisible says that a path leads to m and ends on it, and that it needs no name of a dead file system.
func (t *table) isVisible(m *mounted, isDead func(*mounted) bool) bool {
	return !t.occupied[mountpoint{m.ID, m.Target}] && t.isAccessible(m, isDead)
}

// isAccessible says that a path leads to the place of m, whatever is mounted on m itself, and that it needs no name
// of a dead file system. The mounts on the way are remembered, so asking for all of them costs little more than
// asking for one.
func (t *table) isAccessible(m *mounted, isDead func(*mounted) bool) bool {
	if m.access == unknown {
		m.access = inaccessible // for a list, torn while it was read, in which mounts lie in each other
		if t.isNotCovered(m) && t.isWayAlive(m, isDead) {
			m.access = accessible
		}
	}
	return m.access == accessible
}

// isNotCovered says that no mount beside m, on the same parent, lies on the way from there to m.
func (t *table) isNotCovered(m *mounted) bool {
	parent := t.parent(m)
	if parent == nil || m.Target == parent.Target {
		return true
	}
	for dir := path.Dir(m.Target); ; dir = path.Dir(dir) {
		if t.occupied[mountpoint{parent.ID, dir}] {
			return false
		}
		if dir == parent.Target || dir == "/" {
			return true
		}
	}
}

// isWayAlive says that the way to the place of m is accessible and has no names in a dead parent.
func (t *table) isWayAlive(m *mounted, isDead func(*mounted) bool) bool {
	parent := t.parent(m)
	if parent == nil {
		return true
	}
	return (m.Target == parent.Target || !isDead(parent)) && t.isAccessible(parent, isDead)
}

// origin is what m shows. What the kernel calls deleted has the path that it had.
func (m *mounted) origin() origin {
	return origin{m.Device, strings.TrimSuffix(m.Root, deletedSuffix)}
}

func (m *mounted) deleted() bool { return strings.HasSuffix(m.Root, deletedSuffix) }

// below returns the path from directory to path, or false if it is not in it. Both
// are absolute. The path to the directory itself is "".
func below(directory, path string) (string, bool) {
	if path == directory {
		return "", true
	}
	return strings.CutPrefix(path, strings.TrimSuffix(directory, "/")+"/")
}
