// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A list of mounts is used for as long as it took to read it four times, so that reading takes a fifth of the
	// time at most, and for no longer, since what a runtime changes of a mount after it was read (a bind becomes
	// read-only, something is mounted below) is not seen. minAge is for the lists of most containers, which take less
	// than a quarter of it.
	readings = 4
	minAge   = time.Millisecond
	// openTime is how long one namespace's roots are opened before it is another's turn. One takes about a millisecond.
	openTime = 50 * time.Millisecond
	// foreignTime is how long the namespaces are listed altogether in which nothing is repaired.
	foreignTime = time.Second
)

// repair is one call of Repair.
type repair struct {
	dead       map[Device]Open
	kept       map[location]Device // what was held there
	visitor    *visitor
	namespaces []*namespace
	opened     map[origin]opened
	inodes     map[origin]uint64 // what dead mounts showed that have been looked at
	nowhere    map[origin]bool   // what this pass has looked for in all namespaces and not found
	met        map[int]bool      // IDs of the dead mounts that are in the report
	report     Report
}

// origin is what a mount shows, whoever mounted it where.
type origin struct {
	device Device
	root   string
}

// opened is what has the path of an origin in the file system that takes the dead one's place.
type opened struct {
	fd    int
	inode uint64
	err   error
}

func newRepair(dead map[*Held]Open) (*repair, error) {
	v, err := newVisitor()
	if err != nil {
		return nil, err
	}
	r := &repair{
		dead: map[Device]Open{}, kept: map[location]Device{}, visitor: v, opened: map[origin]opened{}, inodes: map[origin]uint64{},
		met: map[int]bool{}, report: Report{RepairedOf: map[Device]int{}},
	}
	for held, open := range dead {
		r.dead[held.device] = open
		for _, at := range held.places {
			r.kept[at] = held.device
		}
	}
	return r, nil
}

func (r *repair) close() {
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
// looked at; and then again in turn, until each has nothing left to try.
func (r *repair) pass(ctx context.Context) error {
	found, err := r.visitor.namespaces()
	for _, old := range r.namespaces {
		old.close()
	}
	r.namespaces = found.all
	r.report.Stale, r.report.Left, r.report.Unread = nil, map[Device]int{}, nil
	r.report.Namespaces, r.report.Forbidden = len(found.all), found.forbidden
	r.nowhere = map[origin]bool{}
	waiting := make([]*namespace, 0, len(found.all))
	for _, ns := range found.all {
		if !ns.foreign {
			waiting = append(waiting, ns)
		}
	}
	for len(waiting) > 0 {
		var again []*namespace
		for _, ns := range waiting {
			if ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			if r.turn(ctx, ns) {
				again = append(again, ns)
			}
		}
		waiting = again
	}
	return errors.Join(err, ctx.Err())
}

// turn reads the mounts of one namespace, and opens what takes the place of the dead ones, or repairs some if all of
// that is open. It returns false when there is nothing left to try.
func (r *repair) turn(ctx context.Context, ns *namespace) (again bool) {
	mounts, err := r.visitor.list(ns)
	if err != nil {
		r.addUnread(ns, err)
		return false
	}
	r.meet(mounts)
	var todo []*mounted
	for _, m := range mounts.all {
		if !ns.tried[m.ID] && r.isRepairable(mounts, m) {
			todo = append(todo, m)
		}
	}
	if len(todo) == 0 {
		r.count(mounts)
		return false
	}
	if r.openRoots(ctx, mounts, todo) {
		return true // the list may be old
	}
	for i, m := range todo {
		if ctx.Err() != nil || i > 0 && mounts.isOld() {
			break
		}
		ns.tried[m.ID] = true
		before := r.report.Repaired()
		err := r.replace(ns, mounts, m)
		r.report.RepairedOf[m.Device] += r.report.Repaired() - before
		switch {
		case errors.Is(err, errCovered): // by now
		case err != nil:
			r.addStale(ns, m, err)
		}
	}
	return true
}

func (t *table) isOld() bool { return time.Since(t.began)-t.took > max(minAge, readings*t.took) }

func (r *repair) addStale(ns *namespace, m *mounted, err error) {
	r.report.Stale = append(r.report.Stale, Stale{ns.inode, ns.pid, m.Device, m.Root, m.Target, err})
}

// addUnread notes a namespace that cannot be entered or read. What one of its processes shows of it is good enough to
// be counted.
func (r *repair) addUnread(ns *namespace, err error) {
	r.report.Unread = append(r.report.Unread, Unread{ns.inode, ns.pid, err})
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", ns.pid))
	if err != nil {
		return
	}
	if mounts, err := parseTable(string(text)); err == nil {
		r.count(mounts)
	}
}

// listForeign reports what is dead in namespaces of other owners.
func (r *repair) listForeign(ctx context.Context) error {
	began := time.Now()
	for _, ns := range r.namespaces {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !ns.foreign {
			continue
		}
		err := fmt.Errorf("the others have taken %v: %w", foreignTime, unix.ETIMEDOUT)
		var mounts *table
		if time.Since(began) < foreignTime {
			mounts, err = r.visitor.list(ns)
		}
		if err != nil {
			r.addUnread(ns, err)
			continue
		}
		for _, m := range mounts.all {
			if r.isRepairable(mounts, m) {
				r.addStale(ns, m, ErrForeign)
			}
		}
		r.count(mounts)
	}
	return nil
}

// isRepairable says whether m is dead, can be seen, and is not repaired by the way
// with a dead mount that it lies in.
func (r *repair) isRepairable(mounts *table, m *mounted) bool {
	return r.isDead(m) && !r.isKept(mounts, m) && mounts.isVisible(m, r.isDead)
}

// isKept says whether m is the mount by which its file system was held, or one beside that.
func (r *repair) isKept(mounts *table, m *mounted) bool {
	device, held := r.kept[mounts.location(m)]
	return held && device == m.Device
}

func (r *repair) isDead(m *mounted) bool {
	_, dead := r.dead[m.Device]
	return dead
}

// meet notes the dead mounts of a namespace.
func (r *repair) meet(mounts *table) {
	for device := range r.dead {
		for _, m := range mounts.byDevice[device] {
			if !r.met[m.ID] && !r.isKept(mounts, m) {
				r.met[m.ID] = true
				r.report.Dead = append(r.report.Dead, DeadMount{m.ID, device, m.origin().root})
			}
		}
	}
}

func (r *repair) count(mounts *table) {
	r.meet(mounts)
	for device := range r.dead {
		for _, m := range mounts.byDevice[device] {
			if !r.isKept(mounts, m) {
				r.report.Left[device]++
			}
		}
	}
}

// openRoots opens what takes the place of mounts and of dead ones below them, each once for all namespaces, until it
// is another namespace's turn. It returns false if all had been opened before.
func (r *repair) openRoots(ctx context.Context, mounts *table, todo []*mounted) (done bool) {
	began := time.Now()
	limit := max(openTime, readings*mounts.took)
	for _, m := range todo {
		if done && (ctx.Err() != nil || time.Since(began) > limit) {
			break
		}
		done = r.openRoot(mounts, m) || done
	}
	return done
}

func (r *repair) openRoot(mounts *table, m *mounted) (done bool) {
	if r.isDead(m) {
		key := m.origin()
		if _, known := r.opened[key]; !known {
			r.opened[key], done = openInstead(r.dead[m.Device], key.root), true
		}
	}
	for _, child := range mounts.children[m.ID] {
		done = r.openRoot(mounts, child) || done
	}
	return done
}

func openInstead(open Open, root string) opened {
	if open == nil {
		return opened{err: ErrNothingYet}
	}
	fd, err := open(root)
	if err != nil {
		return opened{err: err}
	}
	is, err := look(fd)
	if err == nil && !is.hasInode {
		err = errNoInode
	}
	if err != nil {
		unix.Close(fd)
		return opened{err: fmt.Errorf("what has its path now: %w", err)}
	}
	return opened{fd: fd, inode: is.inode}
}
