// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// moveMountBeneath is MOVE_MOUNT_BENEATH of linux/mount.h (Linux 6.5), which x/sys lacks.
const moveMountBeneath = 0x200

const byDescriptor = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH

// replace puts a living mount in the place of m, a dead mount of ns.
func (r *repair) replace(ns *namespace, mounts *table, m *mounted) error {
	if m.Target == "/" {
		return errors.New("it is the root of its namespace, which its processes have open")
	}
	root := -1
	err := r.visitor.do(ns, func() (err error) {
		root, err = r.visitor.open(m, true)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(root)
	showed, err := look(root)
	switch {
	case err != nil:
		return fmt.Errorf("what it showed: %w", err)
	case showed.device != m.Device: // another mount has got its ID since the list was read
		return errCovered
	case !showed.hasInode:
		return fmt.Errorf("what it showed: %w", errNoInode)
	}
	if !m.deleted() { // else another may have had the path
		r.inodes[m.origin()] = showed.inode
	}
	tree, err := r.cloneReplacement(m, showed.inode)
	if err != nil {
		return err
	}
	living := &replacement{of: m, tree: tree, point: -1}
	defer living.close()
	if err := r.addBelow(ns, mounts, living); err != nil {
		return err
	}
	return r.visitor.do(ns, func() error { return r.attach(mounts, living, root) })
}

var errNotOpened = errors.New("it came to be there during the repair")

// cloneReplacement makes the mount that is to take the place of m, a dead one that showed the file with this inode
// number.
func (r *repair) cloneReplacement(m *mounted, showed uint64) (int, error) {
	o, known := r.opened[m.origin()]
	switch {
	case !known:
		return -1, errNotOpened
	case o.err != nil:
		return -1, o.err
	case o.inode != showed:
		return -1, fmt.Errorf("what it showed was removed or renamed, and another has its path (inode %d, not %d): %w", o.inode, showed, unix.ESTALE)
	}
	tree, err := clone(o.fd, 0)
	if err != nil {
		return -1, err
	}
	return m.attributes.apply(tree)
}

// attach puts living where the dead mount is whose root this is. On the thread.
func (r *repair) attach(mounts *table, living *replacement, root int) error {
	if unix.MoveMount(living.tree, "", root, "", byDescriptor|moveMountBeneath) == nil {
		r.report.Beneath++
		err := living.attachBelow()
		if errDetach := detachDescriptor(root); errDetach != nil {
			err = errors.Join(err, fmt.Errorf("detach it, its replacement being beneath: %w", errDetach))
		}
		return err
	}
	bottom, root, err := r.detachUpper(mounts, living.of, root)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	err = unix.MoveMount(living.tree, "", root, "", byDescriptor)
	switch {
	case err == nil:
		r.report.OnTop++
	case errors.Is(err, unix.ENOENT): // the kernel has forgotten the name of its root
		if err := r.attachInstead(living, bottom, root); err != nil {
			return err
		}
		r.report.DetachedFirst++
	default:
		return fmt.Errorf("move_mount on top of it: %w", err)
	}
	return living.attachBelow()
}

// detachUpper detaches m as long as there is another dead mount beneath, so that the place never leads to a living
// directory that is not meant, nor ever has more than two mounts. It returns the dead mount that is left, and its
// root, to be closed. Before that, root is the one of m.
func (r *repair) detachUpper(mounts *table, m *mounted, root int) (bottom *mounted, fd int, err error) {
	fd, err = unix.FcntlInt(uintptr(root), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	for {
		lower := mounts.parent(m)
		if lower == nil || lower.Target != m.Target || !r.isDead(lower) || r.isKept(mounts, lower) {
			return m, fd, nil
		}
		err := detachDescriptor(fd)
		unix.Close(fd)
		if err != nil {
			return nil, -1, fmt.Errorf("detach it from the dead mount beneath: %w", err)
		}
		m = lower
		if fd, err = r.visitor.open(m, true); err != nil {
			return nil, -1, err
		}
	}
}

// attachInstead detaches m, the dead mount whose root this is, and attaches living at once. On the thread.
func (r *repair) attachInstead(living *replacement, m *mounted, root int) error {
	parent, err := walk(r.visitor.root, path.Dir(m.Target), true) // beforehand: it may take its time
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := detachDescriptor(root); err != nil {
		return fmt.Errorf("detach it, as nothing can be put on top of it: %w", err)
	}
	err = func() error {
		point, err := walk(parent, path.Base(m.Target), true)
		if err == nil {
			point, err = requireMount(point, m.Parent)
		}
		if err != nil {
			return err
		}
		defer unix.Close(point)
		return unix.MoveMount(living.tree, "", point, "", byDescriptor)
	}()
	if err != nil && !errors.Is(err, errCovered) { // somebody else has mounted there
		return fmt.Errorf("it has been detached, and its place is empty, so the container has to be restarted: %w", err)
	}
	return err
}

// detachDescriptor detaches the mount whose root fd is. Not by its path: in the meantime that may lead elsewhere.
// Following the descriptor ends on top of what may have been mounted on it since. On the thread.
func detachDescriptor(fd int) error {
	err := unix.Unmount(descriptor(fd), unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) { // somebody else was faster
		return fmt.Errorf("umount2: %w", err)
	}
	return nil
}
