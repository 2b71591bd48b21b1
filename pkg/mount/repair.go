// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Open returns an O_PATH descriptor, which Repair closes, of what a dead mount
// showed: root is the path of a directory or file from the top of the file system
// that takes the dead one's place. It creates nothing, follows no link, and its
// error (missing, a link now, no answer) is why a mount stays dead. Repair calls it
// on the caller's goroutine, and no sooner than the answer is needed.
type Open func(root string) (fd int, err error)

// Report is what a Repair has done, and what it has left.
type Report struct {
	Beneath int     // dead mounts replaced in one step: their place was never empty
	OnTop   int     // dead mounts covered, because the kernel has no other way (see Repair)
	Stale   []Stale // what the last pass could not repair
	// Left counts the mounts of each dead device that are still anywhere: stale
	// ones, those below them, and covered ones, which nobody sees.
	Left       map[Device]int
	Namespaces int // how many there are
	Forbidden  int // processes and threads whose namespaces this process has no right to see
}

// Stale is a dead mount that stays as it is, and why.
type Stale struct {
	Namespace uint64 // inode number of the mount namespace, as /proc/PID/ns/mnt shows it
	PID       int    // a process (or thread) in it
	Device    Device
	Root      string
	Target    string // seen from the root of the namespace
	Err       error
}

// maxPasses bounds how often Repair begins again. Every pass but the last has
// repaired something, so more means that somebody mounts dead binds on purpose.
const maxPasses = 10

// maxAge is how old a list of mounts may be. What a runtime changes of a mount after it was read (a bind
// becomes read-only, something is mounted below) is not seen, and reading it costs as much as a replacement.
const maxAge = time.Millisecond

// deletedSuffix is what mountinfo adds to the root of a mount that is not there any more.
const deletedSuffix = "//deleted"

// Repair replaces, in every mount namespace of the host, the mounts of dead file
// systems by mounts of the same root of those that took their place. Processes go on
// with the path that they have, without knowing; what they have open in the dead one
// (files, a working directory) stays dead.
//
// One whose Open is nil is dead too, but has nothing to take its place yet: its
// mounts stay, and nothing is ever asked of it. So it is best to give all that are
// known to be dead: mounts lie inside of one another. The mount by which a file
// system was held, and what is mounted in the same place in other namespaces, is
// left alone and not counted: as long as it is there, whoever comes after this
// process can hold the file system again.
//
// The new mount has the flags of the dead one and its place: what is mounted below
// comes along, and dead mounts there are repaired together with it. It is private,
// unless it has a shared parent, through which it reaches peers and slaves. It goes
// beneath the dead mount, which is then detached. Where the kernel refuses that
// (before 6.5, and for mounts that a user namespace locks) it goes on top, and the
// dead one stays beneath, since detaching it first would for a moment let a container
// write to the directory below; what is mounted below then follows a moment later. A
// dead mount that a living one covers is left alone.
//
// A mount stays dead, and is reported, if its Open says so, if it would lose a mount
// below it that cannot be had elsewhere, or if the mountpoint of such a one is missing
// in the new tree. A root that mountinfo calls deleted is opened by the path it
// had, and taken only if it has the inode number the dead one had: the kernel also
// forgets names when somebody walks through a dead mount. Nothing can be done about
// mounts that it drops in the same way.
//
// Passes repeat until one finds nothing more to repair; repeating the whole is
// harmless, and worth it while Left is not 0, since containers may have been starting
// meanwhile. Repair sees the namespaces of all processes and threads that its own
// /proc shows (one held by nothing but a descriptor it misses), and needs the rights
// to enter them: CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_SYS_CHROOT. Kernels before 5.2 cannot do any of it: ENOSYS.
//
// It never asks a dead file system anything. Where the path to a mount leads through
// another file system that does not answer from the kernel's caches, it waits for
// that no longer than two seconds. For Open it waits as long as that takes; ctx is
// looked at before each mount. The error tells which namespaces could not be
// visited; the report holds for all others.
func Repair(ctx context.Context, dead map[*Held]Open) (Report, error) {
	r, err := newRepairer(dead)
	if err != nil {
		return Report{}, err
	}
	defer r.close()
	for range maxPasses {
		before := r.report.Beneath + r.report.OnTop
		if err = r.pass(ctx); ctx.Err() != nil || r.report.Beneath+r.report.OnTop == before {
			break
		}
	}
	return r.report, err
}

// repairer is one call of Repair.
type repairer struct {
	dead       map[Device]Open
	kept       map[place]Device // what was held there
	visitor    *visitor
	namespaces []*namespace
	opened     map[origin]opened
	report     Report
}

// origin is what a mount shows, whoever mounted it where.
type origin struct {
	device Device
	root   string
}

type opened struct {
	fd  int
	err error
}

func newRepairer(dead map[*Held]Open) (*repairer, error) {
	v, err := newVisitor()
	if err != nil {
		return nil, err
	}
	r := &repairer{dead: map[Device]Open{}, kept: map[place]Device{}, visitor: v, opened: map[origin]opened{}}
	for held, open := range dead {
		r.dead[held.device], r.kept[held.at] = open, held.device
	}
	delete(r.kept, place{})
	return r, nil
}

func (r *repairer) close() {
	r.visitor.close()
	for _, ns := range r.namespaces {
		ns.close()
	}
	for _, o := range r.opened {
		if o.err == nil {
			unix.Close(o.fd)
		}
	}
}

// pass repairs what it can in each namespace. They come in the order of process
// IDs, so the host's is first, and its mounts propagate to others before those are
// looked at.
func (r *repairer) pass(ctx context.Context) error {
	found, err := r.visitor.namespaces()
	for _, old := range r.namespaces {
		old.close()
	}
	r.namespaces = found.all
	r.report.Stale, r.report.Left = nil, map[Device]int{}
	r.report.Namespaces, r.report.Forbidden = len(found.all), found.forbidden
	for _, ns := range found.all {
		if errVisit := r.visit(ctx, ns); errVisit != nil {
			err = errors.Join(err, fmt.Errorf("mount namespace %d of process %d: %w", ns.inode, ns.pid, errVisit))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(err, ctx.Err())
}

// visit repairs the mounts of one namespace, until a new list has none left to try.
// Others mount, remount and unmount too, and what is repaired may propagate.
func (r *repairer) visit(ctx context.Context, ns *namespace) error {
	tried := map[int]bool{}
	for ctx.Err() == nil { // pass returns it
		mounts, err := r.visitor.list(ns)
		if err != nil {
			return err
		}
		read, left, attempts := time.Now(), false, 0
		for _, m := range mounts.all {
			if tried[m.ID] || !r.repairable(mounts, m) {
				continue
			}
			left = true
			if ctx.Err() != nil || attempts > 0 && time.Since(read) > maxAge || r.openBelow(mounts, m) {
				break // the list may be old
			}
			attempts++
			tried[m.ID] = true
			switch err := r.replace(ns, mounts, m); {
			case errors.Is(err, errCovered):
			case err != nil:
				r.report.Stale = append(r.report.Stale, Stale{ns.inode, ns.pid, m.Device, m.Root, m.Target, err})
			}
		}
		if !left {
			r.count(mounts)
			return nil
		}
	}
	return nil
}

// repairable says whether m is dead, can be seen, and is not repaired by the way
// with a dead mount that it lies in.
func (r *repairer) repairable(mounts *table, m *mounted) bool {
	return r.isDead(m) && !r.isKept(mounts, m) && r.accessible(mounts, m)
}

// isKept says whether m is the mount by which its file system was held.
func (r *repairer) isKept(mounts *table, m *mounted) bool {
	device, held := r.kept[mounts.place(m)]
	return held && device == m.Device
}

// accessible says that there is a path to m, and that it needs no name of a dead
// file system.
func (r *repairer) accessible(mounts *table, m *mounted) bool {
	return !mounts.covered(m) && !slices.ContainsFunc(mounts.through(m), r.isDead)
}

func (r *repairer) isDead(m *mounted) bool {
	_, dead := r.dead[m.Device]
	return dead
}

func (r *repairer) count(mounts *table) {
	for _, m := range mounts.all {
		if r.isDead(m) && !r.isKept(mounts, m) {
			r.report.Left[m.Device]++
		}
	}
}

// openBelow opens what takes the place of m and of dead mounts below it, once for
// all namespaces. It returns false if it had done so before.
func (r *repairer) openBelow(mounts *table, m *mounted) (done bool) {
	if r.isDead(m) {
		key := m.origin()
		if _, known := r.opened[key]; !known {
			o := opened{fd: -1, err: ErrNothingYet}
			if open := r.dead[m.Device]; open != nil {
				o.fd, o.err = open(key.root)
			}
			r.opened[key], done = o, true
		}
	}
	for _, child := range mounts.children[m.ID] {
		done = r.openBelow(mounts, child) || done
	}
	return done
}

// ErrNothingYet is why a mount is stale whose Open is nil.
var ErrNothingYet = errors.New("nothing has taken the place of its device yet")
