// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// replacement is a mount that is attached nowhere yet, to take the place of another, with those that
// are to be mounted below it.
type replacement struct {
	of    *mounted
	tree  int // descriptor of its root
	point int // its mount point in the tree of the one that it goes below; -1 for the top one
	below []*replacement
}

func (living *replacement) close() {
	unix.Close(living.tree)
	if living.point >= 0 {
		unix.Close(living.point)
	}
	for _, child := range living.below {
		child.close()
	}
}

// attachBelow mounts what goes below one that is attached. That cannot be done sooner:
// before Linux 6.15 nothing can be mounted on what is mounted nowhere.
func (living *replacement) attachBelow() error {
	var err error
	for _, child := range living.below {
		if errMove := unix.MoveMount(child.tree, "", child.point, "", byDescriptor); errMove != nil {
			err = errors.Join(err, fmt.Errorf("the mount of %s below it, at %s, is lost: move_mount: %w", child.of.Root, child.of.Target, errMove))
			continue
		}
		err = errors.Join(err, child.attachBelow())
	}
	return err
}

// addBelow adds to a replacement all that is mounted below what it replaces.
func (r *repair) addBelow(ns *namespace, mounts *table, living *replacement) error {
	for _, m := range mounts.children[living.of.ID] {
		child, whole, err := r.cloneChild(ns, mounts, m)
		if err == nil {
			living.below = append(living.below, child)
			err = r.openPoint(ns, living, child)
		}
		if err == nil && !whole {
			err = r.addBelow(ns, mounts, child)
		}
		if err != nil {
			return fmt.Errorf("the mount of %s below it, at %s, would be lost: %w", m.Root, m.Target, err)
		}
	}
	return nil
}

// openPoint opens the mount point of child in the tree of the replacement that it goes below.
func (r *repair) openPoint(ns *namespace, living, child *replacement) error {
	path, ok := below(living.of.Target, child.of.Target)
	if !ok {
		return fmt.Errorf("it is not below %s", living.of.Target)
	}
	return r.visitor.do(ns, func() error {
		id, err := mountID(".", living.tree)
		if err != nil {
			return err
		}
		point, err := walk(living.tree, path, true)
		if err == nil {
			point, err = requireMount(point, id)
		}
		if err != nil {
			return fmt.Errorf("its mount point: %w", err)
		}
		child.point = point
		return nil
	})
}

// cloneChild makes what is to be mounted in the place of m, which lies below a dead mount: if m is dead too, what
// takes its place, else a clone of m. The kernel has no way to m but through names of the dead file system, which it
// believes for about a second after their last use. If that is over, a mount of the same directory elsewhere is as
// good. A dead mount of which it cannot be known any more what it showed is cloned like a living one, and repaired
// when it can be reached. whole says that the clone has what is mounted below m already.
func (r *repair) cloneChild(ns *namespace, mounts *table, m *mounted) (child *replacement, whole bool, err error) {
	root := -1
	err = r.visitor.do(ns, func() (err error) {
		root, err = r.visitor.open(m, false)
		return err
	})
	if err == nil {
		defer unix.Close(root)
	}
	if tree, errDead := r.replaceChild(m, root); errDead == nil {
		return &replacement{of: m, tree: tree, point: -1}, false, nil
	}
	tree := -1
	if err == nil {
		err = r.visitor.do(ns, func() (err error) {
			tree, err = cloneAll(root)
			return err
		})
		if err == nil {
			return &replacement{of: m, tree: tree, point: -1}, true, nil
		}
	}
	if m.deleted() {
		return nil, false, err
	}
	if tree, err = r.cloneFromElsewhere(ns, mounts, m); err != nil {
		return nil, false, err
	}
	return &replacement{of: m, tree: tree, point: -1}, false, nil
}

var errNotKnown = errors.New("what it showed is not known")

// replaceChild makes what takes the place of m if that is dead, and if it is known what it showed: by its root, which
// is -1 if no way led there, or because another mount like it has been looked at.
func (r *repair) replaceChild(m *mounted, root int) (int, error) {
	if !r.isDead(m) {
		return -1, errNotKnown
	}
	inode, known := r.inodes[m.origin()]
	if root >= 0 {
		showed, err := look(root)
		if err != nil {
			return -1, err
		}
		inode, known = showed.inode, showed.hasInode && showed.device == m.Device
	}
	if !known || root < 0 && m.deleted() {
		return -1, errNotKnown
	}
	return r.cloneReplacement(m, inode)
}

// cloneFromElsewhere makes a mount like m from one of the same file system, in any namespace,
// that shows the same directory or one above it.
func (r *repair) cloneFromElsewhere(ns *namespace, mounts *table, m *mounted) (int, error) {
	if r.nowhere[m.origin()] {
		return -1, errNowhere(m)
	}
	for _, other := range append([]*namespace{ns}, r.namespaces...) {
		if other.foreign {
			continue
		}
		if other != ns {
			var err error
			if mounts, err = r.visitor.list(other); err != nil {
				continue
			}
		}
		for _, candidate := range mounts.byDevice[m.Device] {
			path, ok := below(candidate.Root, m.Root)
			if !ok || path != "" && r.isDead(candidate) || !mounts.isVisible(candidate, r.isDead) {
				continue
			}
			tree := -1
			err := r.visitor.do(other, func() (err error) {
				tree, err = r.visitor.cloneBelow(candidate, path)
				return err
			})
			if err == nil {
				return r.likeIt(m, tree)
			}
		}
	}
	r.nowhere[m.origin()] = true
	return -1, errNowhere(m)
}

// likeIt makes of tree, a clone of a mount that shows the same as m, what takes the place of m.
func (r *repair) likeIt(m *mounted, tree int) (int, error) {
	if r.isDead(m) {
		if showed, err := look(tree); err == nil && showed.hasInode {
			r.inodes[m.origin()] = showed.inode
			if living, err := r.cloneReplacement(m, showed.inode); err == nil {
				unix.Close(tree)
				return living, nil
			}
		}
	}
	return m.attributes.apply(tree)
}

func errNowhere(m *mounted) error {
	return fmt.Errorf("its file system (%s) is mounted nowhere else", m.FSType)
}
