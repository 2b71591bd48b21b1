// SPDX-License-Identifier: Apache-2.0

// Package holders finds the processes of a host that hold file systems by what they have open: files, mappings, working
// directories, roots. It is for FUSE file systems whose server is gone or hangs, so nothing of them is asked: what a
// process has is read from /proc, and where that takes to follow a link of /proc, the file system at its end is not told
// (TestNothingThatALookDoesWaits). Another thing that may wait, as for a process that changes its own mappings at that moment, is
// given a second, and that process is Unknown until it answers.
package holders

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

const (
	// lookLimit bounds a look at all processes, and maxDescriptors what is read of one of them: 300 pods take some 20 ms.
	lookLimit      = 10 * time.Second
	maxDescriptors = 20_000
)

// Wanted is what is looked for.
type Wanted struct {
	// Devices are those of the file systems. The caller has seen to it that they have not become another's.
	Devices map[mount.Device]bool
	// Mounts are the IDs of their mounts, attached or not any more. An ID that has become another mount's is found out.
	Mounts map[int]bool
}

// Process is a process that holds something.
type Process struct {
	PID     int
	Start   uint64 // when it was started, in the kernel's ticks since the boot: with the PID it is of one process alone
	Command string // its name, which it may have chosen itself
	Cgroup  string // as /proc/PID/cgroup has it
	Holds   []Hold
}

// Hold is what a process has of one mount of one file system.
type Hold struct {
	Device   mount.Device
	Mount    int // its ID; 0 where it is not known
	Files    int // that are open
	Writable int // of those, for writing
	Mapped   int // mappings of files
	Cwd      bool
	Root     bool
}

// Found is what a look has found.
type Found struct {
	Processes []Process // sorted by PID
	Unknown   []int     // processes that could not be looked at: what they hold is not known
	Partly    int       // processes that have more open than is read: they may hold more than is found
}

// Looker looks. It is not for concurrent use.
type Looker struct {
	proc     *proc
	patience patience
}

// NewLooker returns a Looker. It is for as long as the process lives: what still waits for an answer uses it.
func NewLooker() (*Looker, error) {
	proc, err := openProc()
	return &Looker{proc: proc}, err
}

// Look looks at all processes, but this one: a thread is taken to have its process's files and directories, as most have. It
// takes the rights of root, in the host's first PID namespace if all are to be seen. An error says that not all were looked at.
func (l *Looker) Look(ctx context.Context, wanted Wanted) (Found, error) {
	pids, err := l.proc.numbers(".")
	if err != nil {
		return Found{}, fmt.Errorf("list the processes of this host: %w", err)
	}
	return l.LookAt(ctx, wanted, pids)
}

// LookAt is Look for some processes. After an error those that it did not come to are Unknown.
func (l *Looker) LookAt(ctx context.Context, wanted Wanted, pids []int) (Found, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookLimit, fmt.Errorf("it has taken %v: %w", lookLimit, unix.ETIMEDOUT))
	defer cancel()
	var found Found
	sorted := slices.Sorted(slices.Values(pids))
	for i, pid := range sorted {
		if ctx.Err() != nil {
			found.Unknown = append(found.Unknown, sorted[i:]...)
			return found, fmt.Errorf("look for who holds file systems: %w", context.Cause(ctx))
		}
		if pid == os.Getpid() {
			continue
		}
		holds, isKnown, isAll := l.holds(ctx, wanted, pid)
		switch {
		case !isKnown:
			found.Unknown = append(found.Unknown, pid)
		case !isAll:
			found.Partly++
		}
		if len(holds) == 0 {
			continue
		}
		switch p, err := l.proc.describe(pid); {
		case err != nil:
			found.Unknown = append(found.Unknown, pid)
		case p.Start != 0:
			p.Holds = holds
			found.Processes = append(found.Processes, p)
		}
	}
	return found, nil
}

// holds returns what one process holds, whether it could be looked at, and whether at all that it has.
func (l *Looker) holds(ctx context.Context, wanted Wanted, pid int) (holds []Hold, isKnown, isAll bool) {
	o := &one{proc: l.proc, wanted: wanted, dir: strconv.Itoa(pid), holds: map[key]*Hold{}}
	candidates, isAll, err := o.descriptors()
	if err != nil {
		return nil, false, false
	}
	asked := l.patience.within(ctx, pid, func() *one {
		after := &one{proc: l.proc, wanted: wanted, dir: o.dir, holds: map[key]*Hold{}}
		after.addFiles(candidates)
		after.addMappings()
		after.addDirectories()
		return after
	})
	if asked == nil {
		return nil, false, false
	}
	sorted := slices.SortedFunc(maps.Values(asked.holds), func(a, b *Hold) int { return a.Mount - b.Mount })
	for _, h := range sorted {
		holds = append(holds, *h)
	}
	return holds, true, isAll
}

type key struct {
	device mount.Device
	mount  int
}

// one is the look at one process.
type one struct {
	proc   *proc
	wanted Wanted
	dir    string // of the process, in /proc
	holds  map[key]*Hold
}

func (o *one) hold(device mount.Device, id int) *Hold {
	k := key{device, id}
	if o.holds[k] == nil {
		o.holds[k] = &Hold{Device: device, Mount: id}
	}
	return o.holds[k]
}

// descriptor is one that has the ID of a mount that is looked for.
type descriptor struct {
	link     string // in /proc
	writable bool
}

// descriptors asks the kernel alone, and no file system: neither the text of a link nor the ID of its mount takes one.
func (o *one) descriptors() (candidates []descriptor, isAll bool, err error) {
	numbers, err := o.proc.numbers(o.dir + "/fd")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) { // it has ended
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	isAll = len(numbers) <= maxDescriptors
	for _, n := range numbers[:min(len(numbers), maxDescriptors)] {
		number := strconv.Itoa(n)
		link := o.dir + "/fd/" + number
		if !o.proc.isOfPath(link) { // a socket, a pipe
			continue
		}
		info := o.proc.readOnce(o.dir + "/fdinfo/" + number)
		if id, flags := parseFdinfo(info); o.wanted.Mounts[id] {
			candidates = append(candidates, descriptor{link, flags&unix.O_ACCMODE != unix.O_RDONLY && flags&unix.O_PATH == 0})
		}
	}
	return candidates, isAll, nil
}

// addFiles makes sure of the candidates: the ID of a mount that nobody has any more is given to another.
func (o *one) addFiles(candidates []descriptor) {
	for _, c := range candidates {
		device, id, err := o.proc.follow(c.link)
		if err != nil || !o.wanted.Devices[device] {
			continue
		}
		h := o.hold(device, id)
		h.Files++
		if c.writable {
			h.Writable++
		}
	}
}

// addMappings finds them by their device, which the list of mappings has.
func (o *one) addMappings() {
	text := o.proc.read(o.dir + "/maps")
	for device := range o.wanted.Devices {
		if !strings.Contains(text, mapsForm(device)) {
			continue
		}
		for line := range strings.Lines(text) {
			fields := strings.SplitN(line, " ", 6) //nolint:mnd // address, permissions, offset, device, inode, path
			if len(fields) < 5 || " "+fields[3]+" " != mapsForm(device) {
				continue
			}
			_, id, err := o.proc.follow(o.dir + "/map_files/" + fields[0])
			if err != nil {
				id = 0
			}
			o.hold(device, id).Mapped++
		}
	}
}

// mapsForm is how the list of a process's mappings shows a device.
func mapsForm(d mount.Device) string { return fmt.Sprintf(" %02x:%02x ", d.Major, d.Minor) }

func (o *one) addDirectories() {
	for name, mark := range map[string]func(*Hold){"/cwd": func(h *Hold) { h.Cwd = true }, "/root": func(h *Hold) { h.Root = true }} {
		if device, id, err := o.proc.follow(o.dir + name); err == nil && o.wanted.Devices[device] {
			mark(o.hold(device, id))
		}
	}
}
