// SPDX-License-Identifier: Apache-2.0

// Package cgroup gives processes control groups of their own, outside those of the container in which this process runs. Whatever
// ends a container ends what is in its control groups: a runtime and kubelet kill by them, and a limit of memory holds for all that is in
// one.
//
// With version 2 there is one hierarchy. With version 1 there is one for each controller, a process is in a group of each, and any of them may
// be what a container is killed by: so a process leaves the container's group in all of them. It gets a group of its own where memory is
// counted, and with version 2; in the others it goes to where the group of all pods is, unless it is there.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// parent holds the groups of all Trees.
const parent = "glusterfs-csi"

// ErrNone says that this process cannot have control groups outside its container's.
var ErrNone = errors.New("no control groups outside its container's")

// ErrNoLimit says that a group has not got its limits.
var ErrNoLimit = errors.New("no limit of memory")

// Tree is the groups that belong together, below <base>/glusterfs-csi/<name>. The base is where the group of all pods is, kubelet's --cgroup-root,
// and the root of the hierarchy for a process that is in no pod.
type Tree struct {
	name   string
	own    []hierarchy // where each process gets a group of its own; the first one tells which processes there are
	others []hierarchy // where a process goes to the base

	mu sync.Mutex // nothing is swept between the making of a group and its first process
}

// Limits are those of one group, in bytes; 0 is none.
type Limits struct {
	High int64 // from which on it is slowed down and its memory reclaimed (version 2 alone)
	Max  int64 // at which the kernel kills what is in it
}

// Open returns the Tree with this name, which need not exist, and changes nothing. Its error is ErrNone.
func Open(name string) (*Tree, error) {
	var all []hierarchy
	if err := inInitsNamespace(func() (err error) { all, err = hierarchies(); return err }); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	t := &Tree{name: name}
	hasMemory := slices.ContainsFunc(all, hierarchy.isMemory)
	for _, h := range all {
		switch {
		case h.isMemory(), h.v2 && (!hasMemory || h.isBelow): // of version 2 a group that has controllers may have no processes beside groups
			t.own = append(t.own, h)
		case h.isBelow:
			t.others = append(t.others, h)
		}
	}
	if len(t.own) == 0 {
		return nil, fmt.Errorf("%w: there is neither version 2 nor the controller memory (a Raspberry Pi wants cgroup_enable=memory in cmdline.txt)", ErrNone)
	}
	return t, nil
}

// path is the Tree's directory in a hierarchy.
func (t *Tree) path(h hierarchy) string { return filepath.Join(h.base, parent, t.name) }

// Make makes the Tree, unless it is there. Its error is ErrNone.
func (t *Tree) Make() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.make()
}

func (t *Tree) make() error {
	for _, h := range t.own {
		if err := os.MkdirAll(t.path(h), 0o750); err != nil {
			return fmt.Errorf("%w: %w", ErrNone, err)
		}
		if !h.v2 {
			continue
		}
		for _, dir := range []string{h.base, filepath.Join(h.base, parent), t.path(h)} {
			// Where it is refused, as the kernel has no such controller, a limit is, too.
			_ = write(dir, "cgroup.subtree_control", "+memory")
		}
	}
	return nil
}

// Add moves a process into the group of this name, which it makes, with these limits. An error says that the process is still in some group of its
// container, and ends with it, or that it has no limit (ErrNoLimit).
func (t *Tree) Add(group string, limits Limits, pid int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return inInitsNamespace(func() error { return t.add(group, limits, pid) })
}

func (t *Tree) add(group string, limits Limits, pid int) error {
	if err := t.make(); err != nil { // somebody may have removed it, as nothing was in it
		return err
	}
	var errs []error
	for i, h := range t.own {
		dir := filepath.Join(t.path(h), group)
		if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a control group: %w", err)
		}
		if i == 0 {
			errs = append(errs, h.limit(dir, limits))
		}
		errs = append(errs, move(dir, pid))
	}
	for _, h := range t.others {
		errs = append(errs, move(h.base, pid))
	}
	return errors.Join(errs...)
}

// Limit changes the limits of a group. A group that is not there is no error. One that uses more than its new Max, or nearly as much, keeps the limits that
// it has, and the error (ErrNoLimit) says so.
func (t *Tree) Limit(group string, limits Limits) error {
	dir := filepath.Join(t.path(t.own[0]), group)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := t.own[0].isTooSmall(dir, limits.Max); err != nil {
		return err
	}
	return t.own[0].limit(dir, limits)
}

// Processes lists the processes of all groups of the Tree, as far as this process sees them.
func (t *Tree) Processes() ([]int, error) {
	files, err := filepath.Glob(filepath.Join(t.path(t.own[0]), "*", procs))
	var pids []int
	for _, file := range files {
		data, errRead := os.ReadFile(file)
		if errRead != nil && !errors.Is(errRead, fs.ErrNotExist) && !errors.Is(errRead, unix.ENODEV) {
			err = errors.Join(err, errRead)
		}
		for text := range strings.FieldsSeq(string(data)) {
			if pid, errNumber := strconv.Atoi(text); errNumber == nil && pid > 0 { // 0 is in another PID namespace
				pids = append(pids, pid)
			}
		}
	}
	return pids, err
}

// Path is where a group is in the first hierarchy, for people; "" of one that is not there.
func (t *Tree) Path(group string) string {
	dir := filepath.Join(t.path(t.own[0]), group)
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return strings.TrimPrefix(dir, t.own[0].prefix)
}

// Sweep removes the groups that have no process any more. The kernel removes no group that has one.
func (t *Tree) Sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.own {
		entries, _ := os.ReadDir(t.path(h))
		for _, entry := range entries {
			if entry.IsDir() {
				_ = unix.Rmdir(filepath.Join(t.path(h), entry.Name()))
			}
		}
	}
}

// Remove is Sweep, and removes the Tree if nothing is in it.
func (t *Tree) Remove() {
	t.Sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.own {
		if unix.Rmdir(t.path(h)) == nil {
			_ = unix.Rmdir(filepath.Join(h.base, parent))
		}
	}
}

// procs lists a group's processes, and moves there what is written to it.
const procs = "cgroup.procs"

func move(dir string, pid int) error {
	if err := write(dir, procs, strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("move process %d to another control group: %w", pid, err)
	}
	return nil
}

// write fails with ENOENT for a file that the kernel has not made.
func write(dir, name, text string) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
