// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/cgroup"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/programs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// Apart is how clients are started that outlive the container of the process that starts them: each in a control group of its own, and with a
// root of its own, in which the programs outlive the container's image. Without Keep they are started as any child of this process.
type Apart struct {
	root     statedir.Root
	groups   *cgroup.Tree // of clients that are kept apart, by whichever process; nil where there cannot be any
	isKept   atomic.Bool  // from Keep on; clients that were found before are watched already
	limits   cgroup.Limits
	programs programs.Copy // its zero value: clients run those of the container, in its mount namespace
	isRooted bool          // programs are there, or clients need none as theirs are the host's; else new clients end with the container, in its groups

	mu sync.Mutex // one copies the programs
}

// OpenApart is for the clients that have their state there. Their control groups have the same name in each container that has the directory,
// wherever that is.
func OpenApart(root statedir.Root) *Apart {
	a := &Apart{root: root}
	var stat unix.Stat_t
	if err := unix.Stat(string(root), &stat); err != nil {
		return a
	}
	if groups, err := cgroup.Open(groupsOf(stat)); err == nil { // else Keep says why
		a.groups = groups
	}
	return a
}

func groupsOf(stat unix.Stat_t) string { return fmt.Sprintf("%d-%d", stat.Dev, stat.Ino) }

// Keep has clients that are started from now on have control groups of their own, with these limits.
func (a *Apart) Keep(limits cgroup.Limits) error {
	if a.groups == nil {
		_, err := cgroup.Open("")
		return cmp.Or(err, cgroup.ErrNone)
	}
	if err := a.groups.Make(); err != nil {
		return err
	}
	a.limits = limits
	a.isKept.Store(true)
	return nil
}

// IsKept says whether clients are started apart.
func (a *Apart) IsKept() bool { return a.isKept.Load() }

// Limit gives a client that runs in a group of its own the limits that new ones have.
func (a *Apart) Limit(v gluster.Volume, start statedir.Start, pid int) error {
	if err := a.groups.Limit(groupOf(v, start), a.limits); err != nil {
		return fmt.Errorf("process %d of %s: %w", pid, v, err)
	}
	return nil
}

// KeepPrograms has clients that are started from now on have a root of their own. Programs that none of the processes runs are removed.
func (a *Apart) KeepPrograms(ctx context.Context, processes func() []int) error {
	copied, err := programs.Make(a.root.StateDir())
	if err == nil {
		err = a.try(ctx, copied)
	}
	a.isRooted = err == nil || errors.Is(err, programs.ErrNone)
	if err == nil {
		a.programs = copied
		err = a.sweepPrograms(processes, copied.Version)
	}
	if errors.Is(err, programs.ErrNone) { // they are the host's, and stay as long as that
		err = nil
	}
	return err
}

// tryTimeout is how long the client program may take to say its version, on a busy machine.
const tryTimeout = 20 * time.Second

// try fails where a copy of the programs does not run in a root of its own, or where what is mounted there is not mounted here.
func (a *Apart) try(ctx context.Context, copied programs.Copy) (err error) {
	dir := a.root.Trial()
	point := filepath.Join(dir, "mnt")
	remove := func() error { return errors.Join(mount.Detach(point), os.RemoveAll(dir)) }
	if err := errors.Join(remove(), os.MkdirAll(point, 0o700)); err != nil { // a process that was killed may have left it
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	said, err := process.Try(ctx, func() error {
		if err := copied.Enter(dir); err != nil {
			return err
		}
		return unix.Mount("glusterfs-csi-trial", point, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=4k")
	})
	if err != nil {
		return fmt.Errorf("run the client program %s from %s: %w", copied.Version, a.root.StateDir(), err)
	}
	at, err := mount.At(point)
	if err == nil && len(at) == 0 {
		err = fmt.Errorf("what a client mounts in a mount namespace of its own is not mounted here: %s needs mountPropagation: Bidirectional", a.root.StateDir())
	}
	klog.FromContext(ctx).V(1).Info("Clients have a root of their own", "version", copied.Version, "says", said)
	return err
}

// launch starts the client program where a client is to run. One that cannot have a root of its own, also after the programs were copied again, is started as
// any child of this process.
func (a *Apart) launch(ctx context.Context, v gluster.Volume, slot statedir.Slot, start statedir.Start, args []string, credentials *os.File) (*process.Process, error) {
	var place process.Place
	if copied := a.programs; copied != (programs.Copy{}) {
		place = func() error { return copied.Enter(string(slot)) }
	}
	p, err := process.Launch(place, args, slot.Stderr(), credentials)
	if errors.Is(err, process.ErrPlace) {
		klog.FromContext(ctx).Error(err, "A client cannot be started in a root of its own; copying the programs again")
		if err = a.copyAgain(); err == nil {
			p, err = process.Launch(place, args, slot.Stderr(), credentials)
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "A client has no root of its own, and ends with this container")
			return process.Launch(nil, args, slot.Stderr(), credentials)
		}
	}
	if err == nil {
		a.admit(ctx, groupOf(v, start), p.PID)
	}
	return p, err
}

// copyAgain has the copy of the programs there, which somebody may have removed.
func (a *Apart) copyAgain() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := programs.Make(a.root.StateDir())
	return err
}

// admit puts a client that was started just now into its control group. Where that fails it ends with this process's container, as it would without.
func (a *Apart) admit(ctx context.Context, group string, pid int) {
	if !a.isKept.Load() || !a.isRooted {
		return
	}
	if err := a.groups.Add(group, a.limits, pid); err != nil {
		klog.FromContext(ctx).Error(err, "A client has no limit, or no control group of its own and ends with this container", "pid", pid)
	}
}

// groupOf names the control group of a client, for people: a cluster, a Gluster volume, its options' hash, and what tells one from the next.
func groupOf(v gluster.Volume, start statedir.Start) string {
	const longest = 200 // of 255 bytes
	at := filepath.Dir(start.StartedAt())
	name := strings.Join([]string{v.Cluster, v.Name, filepath.Base(filepath.Dir(at)), filepath.Base(at)}, "-")
	return name[max(0, len(name)-longest):]
}

// Group is the control group of a client, "" where it has none.
func (a *Apart) Group(v gluster.Volume, start statedir.Start) string {
	if a.groups == nil {
		return ""
	}
	return a.groups.Path(groupOf(v, start))
}

// Processes are those in the control groups.
func (a *Apart) Processes() []int {
	if a.groups == nil {
		return nil
	}
	pids, err := a.groups.Processes()
	if err != nil {
		klog.Background().Error(err, "Cannot list all clients that are kept apart")
	}
	return pids
}

// sweepPrograms removes the programs that no process runs, but for versions that are kept.
func (a *Apart) sweepPrograms(processes func() []int, versions ...string) error {
	for _, pid := range processes() {
		if v := programs.Of(pid); v != "" && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	return programs.Sweep(a.root.StateDir(), versions)
}

// IsOutdated says whether a client that is started now would have another root than this process: other programs, or other names of hosts.
func (a *Apart) IsOutdated(pid int) bool {
	switch {
	case !a.isKept.Load() || !a.isRooted:
		return false
	case a.programs == (programs.Copy{}):
		return programs.Of(pid) != ""
	}
	return !a.programs.IsAsIn(pid)
}

// Sweep removes the control groups of clients that have ended.
func (a *Apart) Sweep() {
	if a.isKept.Load() {
		a.groups.Sweep()
	}
}

// Remove removes the control groups and programs that none of the processes needs. No client may be started meanwhile, or after it.
func (a *Apart) Remove(processes func() []int) error {
	a.groups.Remove()
	return a.sweepPrograms(processes)
}
