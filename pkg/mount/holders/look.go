// SPDX-License-Identifier: Apache-2.0

// Package holders finds the processes of a host that hold file systems by what they have open: files, mappings, working
// directories, roots. It is for FUSE file systems whose server is gone or hangs, so nothing of them is asked: what a
// process has is read from /proc, and where that takes to follow a link of /proc, the file system at its end is not told
// (TestNothingThatALookDoesWaits). Another thing that may wait, as for a process that changes its own mappings at that moment, is
// given a second by pkg/ask, and that process is Unknown until it answers (TestALookWaitsForNoProgramThatIsBeingStarted).
package holders

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ask"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

const (
	// lookLimit bounds a look at all processes, and maxDescriptors what is read of one of them: 300 pods take some 55 ms (BenchmarkLook).
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
type Looker struct{ proc *proc }

// NewLooker returns a Looker. It is for as long as the process lives: what still waits for an answer uses it.
func NewLooker() (*Looker, error) {
	proc, err := openProc()
	return &Looker{proc: proc}, err
}

// Look looks at all processes, but this one: a thread is taken to have its process's files and directories, as most have. It
// takes the rights of root, in the host's first PID namespace if all are to be seen. An error says that not all were looked at.
func (l *Looker) Look(ctx context.Context, wanted Wanted) (Found, error) {
	pids, err := l.proc.processes()
	if err != nil {
		return Found{}, fmt.Errorf("list the processes of this host: %w", err)
	}
	return l.LookAt(ctx, wanted, pids)
}

// LookAt is Look for some processes. After an error those that it did not come to are Unknown.
func (l *Looker) LookAt(ctx context.Context, wanted Wanted, pids []int) (Found, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookLimit, fmt.Errorf("it has taken %v: %w", lookLimit, unix.ETIMEDOUT))
	defer cancel()
	sorted := slices.DeleteFunc(slices.Sorted(slices.Values(pids)), func(pid int) bool { return pid == os.Getpid() })
	asked := &look{proc: l.proc, wanted: wanted, mapsForms: mapsForms(wanted)}
	answers, err := ask.Processes(sorted, func(pid int) (answer, error) {
		if ctx.Err() != nil {
			return answer{}, context.Cause(ctx)
		}
		return asked.at(pid)
	})
	found := foundOf(sorted, answers)
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return found, fmt.Errorf("look for who holds file systems: %w", cause)
	}
	return found, nil
}

// foundOf says what is known of these processes: all but those that are Unknown have answered, in this order.
func foundOf(pids []int, answers []answer) Found {
	var found Found
	for _, pid := range pids {
		if len(answers) == 0 || answers[0].PID != pid {
			found.Unknown = append(found.Unknown, pid)
			continue
		}
		a := answers[0]
		answers = answers[1:]
		if a.isPart {
			found.Partly++
		}
		if a.Start != 0 && len(a.Holds) > 0 {
			found.Processes = append(found.Processes, a.Process)
		}
	}
	return found
}

// look is what all processes are asked for.
type look struct {
	proc      *proc
	wanted    Wanted
	mapsForms map[mount.Device][]byte
}

// answer is what a look at one process has found.
type answer struct {
	Process

	isPart bool // it has more open than is read
}

// at looks at one process, which may wait. What it asks of each of thousands of descriptors is little, and no text is copied:
// that is where the time of a look goes.
func (l *look) at(pid int) (answer, error) {
	b, _ := buffers.Get().(*buffer)
	defer buffers.Put(b)
	o := &one{look: l, dir: strconv.Itoa(pid), buffer: b}
	isAll, err := o.addFiles()
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) { // it has ended
		return answer{Process: Process{PID: pid}}, nil
	}
	if err != nil {
		return answer{}, err
	}
	o.addMappings()
	o.addDirectories()
	if len(o.holds) == 0 {
		return answer{Process{PID: pid}, !isAll}, nil
	}
	p := l.proc.describe(pid, b)
	for _, h := range slices.SortedFunc(maps.Values(o.holds), func(a, b *Hold) int { return a.Mount - b.Mount }) {
		p.Holds = append(p.Holds, *h)
	}
	return answer{p, !isAll}, nil
}

type key struct {
	device mount.Device
	mount  int
}

// one is the look at one process.
type one struct {
	*look

	dir    string // of the process, in /proc
	buffer *buffer
	holds  map[key]*Hold
}

func (o *one) hold(device mount.Device, id int) *Hold {
	k := key{device, id}
	if o.holds == nil {
		o.holds = map[key]*Hold{}
	}
	if o.holds[k] == nil {
		o.holds[k] = &Hold{Device: device, Mount: id}
	}
	return o.holds[k]
}

// holdAt is hold for what a link of the process leads to, or nil if that is of no file system that is looked for.
func (o *one) holdAt(link string) *Hold {
	device, id, err := o.proc.follow(o.dir + link)
	if err != nil || !o.wanted.Devices[device] {
		return nil
	}
	return o.hold(device, id)
}

// addFiles asks the kernel alone, and no file system: neither the text of a link nor the ID of its mount takes one.
func (o *one) addFiles() (isAll bool, err error) {
	dir, err := o.proc.open(o.dir + "/fd")
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(dir) }()
	n := 0
	err = o.buffer.eachName(dir, func(name string) bool {
		n++
		if n <= maxDescriptors && isOfPath(dir, name) { // and no socket, no pipe
			o.addFile(name)
		}
		return n <= maxDescriptors
	})
	return n <= maxDescriptors, err
}

// addFile makes sure of a descriptor that has the ID of a mount that is looked for: the ID of a mount that nobody has any
// more is given to another.
func (o *one) addFile(name string) {
	id, flags := parseFdinfo(o.proc.readOnce(o.dir+"/fdinfo/"+name, o.buffer.free(0)))
	if !o.wanted.Mounts[id] {
		return
	}
	h := o.holdAt("/fd/" + name)
	if h == nil {
		return
	}
	h.Files++
	if flags&unix.O_ACCMODE != unix.O_RDONLY && flags&unix.O_PATH == 0 {
		h.Writable++
	}
}

// addMappings finds them by their device, which the list of mappings has.
func (o *one) addMappings() {
	text := o.proc.read(o.dir+"/maps", o.buffer)
	for device, form := range o.mapsForms {
		if !bytes.Contains(text, form) {
			continue
		}
		for line := range bytes.Lines(text) {
			fields := bytes.SplitN(line, []byte(" "), 6) //nolint:mnd // address, permissions, offset, device, inode, path
			if len(fields) < 5 || !bytes.Equal(fields[3], bytes.TrimSpace(form)) {
				continue
			}
			_, id, err := o.proc.follow(o.dir + "/map_files/" + string(fields[0]))
			if err != nil {
				id = 0
			}
			o.hold(device, id).Mapped++
		}
	}
}

// mapsForms is how the list of a process's mappings shows the devices.
func mapsForms(w Wanted) map[mount.Device][]byte {
	forms := map[mount.Device][]byte{}
	for d := range w.Devices {
		forms[d] = fmt.Appendf(nil, " %02x:%02x ", d.Major, d.Minor)
	}
	return forms
}

func (o *one) addDirectories() {
	if h := o.holdAt("/cwd"); h != nil {
		h.Cwd = true
	}
	if h := o.holdAt("/root"); h != nil {
		h.Root = true
	}
}
