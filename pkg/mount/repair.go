// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"context"
	"errors"
	"maps"
)

// Open returns an O_PATH descriptor, which Repair closes, of what a dead mount
// showed: root is the path of a directory or file from the top of the file system
// that takes the dead one's place. It creates nothing, follows no link, and its
// error (missing, a link now, no answer) is why a mount stays dead. Repair calls it
// on the caller's goroutine, and no sooner than the answer is needed.
type Open func(root string) (fd int, err error)

// Report is what a Repair has done, and what it has left.
type Report struct {
	Beneath int // dead mounts replaced in one step: their place was never empty
	OnTop   int // dead mounts covered, because the kernel has no other way (see Repair)
	// DetachedFirst counts the dead mounts that the kernel lets neither be covered nor have anything beneath: their
	// place was empty for a moment (see Repair).
	DetachedFirst int
	RepairedOf    map[Device]int // these, by their dead devices
	Stale         []Stale        // what the last pass could not repair
	// Left counts the mounts of each dead device that are still anywhere: stale
	// ones, those below them, and covered ones, which nobody sees.
	Left map[Device]int
	// Dead are the mounts of dead file systems that were met, each once, repaired or not: files that were opened through
	// one have its ID for as long as they are open (/proc/PID/fdinfo). Not those that are left alone.
	Dead       []DeadMount
	Namespaces int // how many there are
	Forbidden  int // processes and threads whose namespaces this process has no right to see
	// Unread are the namespaces that could not be entered or read. Left has what /proc/PID/mountinfo shows of them,
	// if anything.
	Unread []Unread
}

// Repaired is how many mounts have been, in whichever way.
func (r Report) Repaired() int { return r.Beneath + r.OnTop + r.DetachedFirst }

// Stale is a dead mount that stays as it is, and why.
type Stale struct {
	Namespace uint64 // inode number of the mount namespace, as /proc/PID/ns/mnt shows it
	PID       int    // a process (or thread) in it
	Device    Device
	Root      string
	Target    string // seen from the root of the namespace
	Err       error
}

// DeadMount is a mount of a dead file system.
type DeadMount struct {
	ID     int // no other mount of any namespace has it, until the last file is closed that was opened through it
	Device Device
	Root   string // as it was before the kernel forgot its name
}

// Unread is a mount namespace that could not be read.
type Unread struct {
	Namespace uint64
	PID       int
	Err       error
}

var (
	// ErrNothingYet is why a mount is stale whose Open is nil.
	ErrNothingYet = errors.New("nothing has taken the place of its device yet")
	// ErrForeign is why the mounts are stale that a process has in a user namespace of its own.
	ErrForeign = errors.New("its mount namespace belongs to another user namespace, for which the kernel has locked its mounts as they are (read-only, nosuid, …): " +
		"one put in its place would not be locked, so the container has to be restarted")
)

// maxPasses bounds how often Repair begins again. Every pass but the last has
// repaired something, so more means that somebody mounts dead binds on purpose.
const maxPasses = 10

// deletedSuffix is what mountinfo adds to the root of a mount that is not there any more.
const deletedSuffix = "//deleted"

// Repairer remembers from one Repair to the next what dead mounts have shown: of one that lies in another dead one it
// may not be possible any more to find that out, and mounts like it may have been repaired before. The zero value
// knows nothing yet. It is not for concurrent use.
type Repairer struct {
	inodes map[origin]uint64
}

func (known *Repairer) recall(r *repair) {
	for origin, inode := range known.inodes {
		if _, dead := r.dead[origin.device]; dead {
			r.inodes[origin] = inode
		}
	}
}

// forget keeps nothing of a device that is nowhere any more: its number may come to be another's.
func (known *Repairer) forget(left map[Device]int) {
	maps.DeleteFunc(known.inodes, func(o origin, _ uint64) bool { return left[o.device] == 0 })
}

// Repair replaces, in every mount namespace of the host, the mounts of dead file
// systems by mounts of the same root of those that took their place. Processes go on
// with the path that they have, without knowing; what they have open in the dead one
// (files, a working directory) stays dead.
//
// One whose Open is nil is dead too, but has nothing to take its place yet: its
// mounts stay, and nothing is ever asked of it. So it is best to give all that are
// known to be dead: mounts lie inside of one another. The mount by which a file
// system was held, those that Hold was told of, and what is mounted in the same places in other namespaces, is
// left alone and not counted: as long as it is there, whoever comes after this
// process can hold the file system again.
//
// What takes the place of a mount is what it showed, not what has the path of that by now: the two have the same
// inode number, which the kernel remembers of a dead file system and which a file system must give a directory for
// good. Where they differ (it was renamed or removed, and the path used again) the mount stays dead, and so it does
// where the number is not known.
//
// The new mount has the flags of the dead one and its place: what is mounted below comes along, and dead mounts there
// are repaired together with it. It is private, unless it has a shared parent, through which it reaches peers and
// slaves. It goes beneath the dead mount, which is then detached. Where the kernel refuses that (before 6.5) it goes
// on top, and the dead one stays beneath, since detaching it first would for a moment let a container write to the
// directory below; what is mounted below then follows a moment later. Not more than two mounts come to lie on a place
// in this way: a dead one on another dead one is detached first. A dead mount that a living one covers is left alone.
//
// Such a kernel refuses to cover a mount whose root it has forgotten, as it does when anybody walks through another
// mount of the dead file system to a name on the way. That mount, and no other, is detached first and its place taken
// at once: for some ten microseconds the path leads to the directory below.
//
// A mount stays dead, and is reported, if its Open says so, if it would lose a mount
// below it that cannot be had elsewhere, or if the mountpoint of such a one is missing
// in the new tree. A root that mountinfo calls deleted is opened by the path it
// had: the kernel also forgets names when somebody walks through a dead mount. Nothing
// can be done about mounts that it drops in the same way.
//
// The mounts of a namespace that another user namespace owns stay dead (ErrForeign): the kernel has locked them for its
// processes, and would not lock what replaces them.
//
// Namespaces are repaired in turns, so that one with thousands of dead mounts holds up no other, and the whole costs
// a time in proportion to the mounts there are. Passes repeat until one finds nothing more to repair; repeating the
// whole is harmless, and worth it while Left is not 0, since containers may have been starting meanwhile. Repair sees
// the namespaces of all processes and threads that its own /proc shows (one held by nothing but a descriptor it
// misses), and needs the rights to enter them: CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_SYS_CHROOT. Kernels before 5.2
// cannot do any of it: ENOSYS.
//
// It never asks a dead file system anything. Where the path to a mount leads through
// another file system that does not answer from the kernel's caches, it waits for
// that no longer than two seconds. For Open it waits as long as that takes; ctx is
// looked at before each mount. After an error the report tells what has been done, not what is left.
func (known *Repairer) Repair(ctx context.Context, dead map[*Held]Open) (Report, error) {
	r, err := newRepair(dead)
	if err != nil {
		return Report{}, err
	}
	defer r.close()
	known.recall(r)
	for range maxPasses {
		before := r.report.Repaired()
		if err = r.pass(ctx); ctx.Err() != nil || r.report.Repaired() == before {
			break
		}
	}
	err = errors.Join(err, r.listForeign(ctx))
	known.inodes = r.inodes
	if err == nil { // else Left may lack some
		known.forget(r.report.Left)
	}
	return r.report, err
}
