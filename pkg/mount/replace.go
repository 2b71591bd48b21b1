// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// moveMountBeneath is MOVE_MOUNT_BENEATH of linux/mount.h (Linux 6.5), which x/sys lacks.
const moveMountBeneath = 0x200

// replace puts the graft of m in the place of m, a dead mount of ns.
func (r *repairer) replace(ns *namespace, mounts *table, m *mounted) error {
	if m.Target == "/" {
		return errors.New("it is the root of its namespace, which its processes have open")
	}
	target := -1
	err := r.visitor.do(ns, func() (err error) {
		target, err = r.visitor.reach(m, true)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if shown, err := cachedStat(target, 0); err == nil && shown.device != m.Device { // another mount has got its ID since the list was read
		return errCovered
	}
	if m.deleted() {
		if err := r.sameFile(m, target); err != nil {
			return err
		}
	}
	g, err := r.grow(ns, mounts, m)
	if err != nil {
		return err
	}
	defer g.close()
	return r.visitor.do(ns, func() error { return r.place(g, target) })
}

// sameFile says whether the root of m, which mountinfo calls deleted, is what has its
// path now. The inode number of a dead one is read from the kernel's cache.
func (r *repairer) sameFile(m *mounted, target int) error {
	o := r.opened[m.origin()]
	if o.err != nil {
		return o.err
	}
	was, err := cachedStat(target, unix.STATX_INO)
	if err != nil {
		return fmt.Errorf("inode number of a deleted root: %w", err)
	}
	is, err := cachedStat(o.fd, unix.STATX_INO)
	if err != nil {
		return fmt.Errorf("inode number of what has the path of a deleted root: %w", err)
	}
	if was.inode != is.inode {
		return fmt.Errorf("its root was deleted, and another has its path (inode %d, not %d): %w", is.inode, was.inode, unix.ESTALE)
	}
	return nil
}

// seen is what the kernel knows of a file.
type seen struct {
	device Device
	inode  uint64
}

// cachedStat asks no file system, so it may be a dead one. The device is known whatever is asked for.
func cachedStat(fd, mask int) (seen, error) {
	var stat unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, mask, &stat)
	return seen{Device{stat.Dev_major, stat.Dev_minor}, stat.Ino}, err
}

// place attaches g where the dead mount is whose root target is. On the thread.
func (r *repairer) place(g *graft, target int) error {
	const byDescriptor = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	beneath := unix.MoveMount(g.tree, "", target, "", byDescriptor|moveMountBeneath) == nil
	if !beneath {
		if err := unix.MoveMount(g.tree, "", target, "", byDescriptor); err != nil {
			return fmt.Errorf("move_mount on top of it: %w", err)
		}
		r.report.OnTop++
	}
	err := g.attachBelow()
	if !beneath {
		return err
	}
	r.report.Beneath++
	// Not by its path: in the meantime that may lead elsewhere. Following the
	// descriptor ends on top of what may have been mounted on it since.
	errDetach := unix.Unmount(descriptor(target), unix.MNT_DETACH)
	if errDetach != nil && !errors.Is(errDetach, unix.EINVAL) { // somebody else was faster
		err = errors.Join(err, fmt.Errorf("detach it, its replacement being beneath: umount2: %w", errDetach))
	}
	return err
}

// graft is a mount that is nowhere yet, to take the place of another, with those that
// are to be mounted below it.
type graft struct {
	of    *mounted
	tree  int // descriptor of its root
	point int // where in the tree that it goes below; -1 for the top one
	below []*graft
}

func (g *graft) close() {
	unix.Close(g.tree)
	if g.point >= 0 {
		unix.Close(g.point)
	}
	for _, child := range g.below {
		child.close()
	}
}

// attachBelow mounts what goes below g, which is attached. That cannot be done sooner:
// before Linux 6.15 nothing can be mounted on what is mounted nowhere.
func (g *graft) attachBelow() error {
	var err error
	for _, child := range g.below {
		if errMove := unix.MoveMount(child.tree, "", child.point, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); errMove != nil {
			err = errors.Join(err, fmt.Errorf("the mount of %s below it, at %s, is lost: move_mount: %w", child.of.Root, child.of.Target, errMove))
			continue
		}
		err = errors.Join(err, child.attachBelow())
	}
	return err
}

// grow makes the graft of m with all that is mounted below.
func (r *repairer) grow(ns *namespace, mounts *table, m *mounted) (*graft, error) {
	tree, err := r.fresh(m)
	if err != nil {
		return nil, err
	}
	g := &graft{of: m, tree: tree, point: -1}
	if err := r.growBelow(ns, mounts, g); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (r *repairer) growBelow(ns *namespace, mounts *table, g *graft) error {
	for _, m := range mounts.children[g.of.ID] {
		child, whole, err := r.keep(ns, mounts, m)
		if err == nil {
			g.below = append(g.below, child)
			err = r.findPoint(ns, g, child)
		}
		if err == nil && !whole {
			err = r.growBelow(ns, mounts, child)
		}
		if err != nil {
			return fmt.Errorf("the mount of %s below it, at %s, would be lost: %w", m.Root, m.Target, err)
		}
	}
	return nil
}

// findPoint opens the mount point of child in the tree of g.
func (r *repairer) findPoint(ns *namespace, g, child *graft) error {
	path, ok := below(g.of.Target, child.of.Target)
	if !ok {
		return fmt.Errorf("it is not below %s", g.of.Target)
	}
	return r.visitor.do(ns, func() error {
		id, err := mountID(".", g.tree)
		if err != nil {
			return err
		}
		point, err := walk(g.tree, path, true)
		if err == nil {
			point, err = r.visitor.onMount(point, id)
		}
		if err != nil {
			return fmt.Errorf("its mount point: %w", err)
		}
		child.point = point
		return nil
	})
}

// keep makes a graft of m, which lies below a dead mount. The kernel has no way to it
// but through names of the dead file system, which it believes for about a second
// after their last use. If that is over, a mount of the same directory elsewhere is as
// good. whole says that the graft has what is mounted below m already.
func (r *repairer) keep(ns *namespace, mounts *table, m *mounted) (g *graft, whole bool, err error) {
	if r.isDead(m) && !m.deleted() {
		tree, err := r.fresh(m)
		if err == nil {
			return &graft{of: m, tree: tree, point: -1}, false, nil
		}
	}
	tree := -1
	err = r.visitor.do(ns, func() error {
		fd, err := r.visitor.reach(m, false)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		tree, err = cloneAll(fd)
		return err
	})
	if err == nil {
		return &graft{of: m, tree: tree, point: -1}, true, nil
	}
	if m.deleted() {
		return nil, false, err
	}
	if tree, err = r.borrow(ns, mounts, m); err != nil {
		return nil, false, err
	}
	return &graft{of: m, tree: tree, point: -1}, false, nil
}

// fresh makes the mount that is to take the place of m, a dead one.
func (r *repairer) fresh(m *mounted) (int, error) {
	o := r.opened[m.origin()]
	if o.err != nil {
		return -1, o.err
	}
	tree, err := clone(o.fd, 0)
	if err != nil {
		return -1, err
	}
	return m.attributes.give(tree)
}

// borrow makes a mount like m from one of the same file system, in any namespace,
// that shows the same directory or one above it.
func (r *repairer) borrow(ns *namespace, mounts *table, m *mounted) (int, error) {
	for _, lender := range append([]*namespace{ns}, r.namespaces...) {
		if lender != ns {
			var err error
			if mounts, err = r.visitor.list(lender); err != nil {
				continue
			}
		}
		for _, candidate := range mounts.all {
			path, ok := below(candidate.Root, m.Root)
			if candidate.Device != m.Device || !ok || path != "" && r.isDead(candidate) || !r.accessible(mounts, candidate) {
				continue
			}
			tree := -1
			err := r.visitor.do(lender, func() (err error) {
				tree, err = r.visitor.cloneBelow(candidate, path)
				return err
			})
			if err == nil {
				return m.attributes.give(tree)
			}
		}
	}
	return -1, fmt.Errorf("its file system (%s) is mounted nowhere else", m.FSType)
}
