// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	utilio "k8s.io/utils/io"
)

// table is what is mounted in one namespace, and on what.
type table struct {
	all      []*mounted // in mountinfo's order
	byID     map[int]*mounted
	children map[int][]*mounted // by the ID of the mount that they are mounted on
}

// mounted is a mount with all its attributes, some of which Entry leaves out.
type mounted struct {
	Entry

	attributes attributes
}

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
	data, err := utilio.ConsistentRead(proc+"/thread-self/mountinfo", readAttempts)
	if err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}
	return parseTable(string(data))
}

func parseTable(mountinfo string) (*table, error) {
	t := &table{byID: map[int]*mounted{}, children: map[int][]*mounted{}}
	for line := range strings.Lines(mountinfo) {
		entry, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("mountinfo: %w: %q", err, line)
		}
		m := &mounted{entry, parseAttributes(strings.Fields(line)[5])}
		t.all = append(t.all, m)
		t.byID[m.ID] = m
		if m.Parent != m.ID {
			t.children[m.Parent] = append(t.children[m.Parent], m)
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

// ancestors are the mounts that m lies in, the nearest first.
func (t *table) ancestors(m *mounted) []*mounted {
	var found []*mounted
	for m = t.parent(m); m != nil && len(found) < len(t.all); m = t.parent(m) {
		found = append(found, m)
	}
	return found
}

// parent returns nil for the first mount of a namespace, and for what is mounted on
// one that cannot be seen from its root.
func (t *table) parent(m *mounted) *mounted {
	if m.Parent == m.ID {
		return nil
	}
	return t.byID[m.Parent]
}

// place tells where m is mounted, in a way that is the same in every namespace.
func (t *table) place(m *mounted) place {
	parent := t.parent(m)
	if parent == nil {
		return place{}
	}
	path, ok := below(parent.Target, m.Target)
	if !ok {
		return place{}
	}
	return place{parent.Device, filepath.Join(parent.Root, path)}
}

// through are those of the ancestors of m in which the path to m has names of its
// own: all but those on whose root the next one lies.
func (t *table) through(m *mounted) []*mounted {
	var found []*mounted
	for _, ancestor := range t.ancestors(m) {
		if ancestor.Target != m.Target {
			found = append(found, ancestor)
		}
		m = ancestor
	}
	return found
}

// covered says that no path leads to m, because another mount lies on its root, or
// on the way to it.
func (t *table) covered(m *mounted) bool {
	if slices.ContainsFunc(t.children[m.ID], func(child *mounted) bool { return child.Target == m.Target }) {
		return true
	}
	for _, ancestor := range t.ancestors(m) {
		for _, sibling := range t.children[ancestor.ID] {
			if path, ok := below(sibling.Target, m.Target); ok && path != "" {
				return true
			}
		}
		m = ancestor
	}
	return false
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
