// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// clone makes a mount, attached nowhere, of what fd refers to, which lies in the
// namespace of the calling thread.
func clone(fd int, recursive uint) (int, error) {
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|recursive)
	if err != nil {
		return -1, fmt.Errorf("open_tree: %w", err)
	}
	return tree, nil
}

// cloneAll is clone with what is mounted below. The result has no peers, so it does
// not lose what is unmounted from the original.
func cloneAll(fd int) (int, error) {
	tree, err := clone(fd, unix.AT_RECURSIVE)
	if err != nil {
		return -1, err
	}
	attr := unix.MountAttr{Propagation: unix.MS_PRIVATE}
	err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr)
	// A kernel that lacks it cannot mount beneath either, so nothing gets detached.
	if err != nil && !errors.Is(err, unix.ENOSYS) {
		unix.Close(tree)
		return -1, fmt.Errorf("mount_setattr: %w", err)
	}
	return tree, nil
}

// cloneBelow makes a mount of what is at path in m. To be called on the thread.
func (v *visitor) cloneBelow(m *mounted, path string) (int, error) {
	root, err := v.open(m, true)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	fd, err := walk(root, path, true)
	if err != nil {
		return -1, err
	}
	if fd, err = requireMount(fd, m.ID); err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	return clone(fd, 0)
}

// apply makes tree, a mount that is attached nowhere, private, and a its attributes,
// before anybody can see it. It returns tree or, on kernels before 5.12, which lack
// mount_setattr(2), another in its place. After an error tree is closed.
func (a attributes) apply(tree int) (int, error) {
	attr := unix.MountAttr{Attr_set: a.attr, Attr_clr: everyAttribute, Propagation: unix.MS_PRIVATE}
	err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr)
	if err == nil {
		return tree, nil
	}
	defer unix.Close(tree)
	if !errors.Is(err, unix.ENOSYS) {
		return -1, fmt.Errorf("mount_setattr: %w", err)
	}
	return a.applyLegacy(tree)
}

// applyLegacy changes a mount while it is attached at a place of our own, where nobody
// looks, as bindLegacy does. Its clone there has its attributes and is private too.
func (a attributes) applyLegacy(tree int) (changed int, err error) {
	s, err := makeStaging(tree)
	if err != nil {
		return -1, err
	}
	changed = -1
	defer func() {
		if errRemove := s.remove(); errRemove != nil {
			err = errors.Join(err, errRemove)
		}
		if err != nil && changed >= 0 {
			unix.Close(changed)
			changed = -1
		}
	}()
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, s.point, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return -1, fmt.Errorf("move_mount: %w", err)
	}
	if err := s.change(a.ms, 0); err != nil {
		return -1, err
	}
	changed, err = unix.OpenTree(unix.AT_FDCWD, s.point, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open_tree: %w", err)
	}
	return changed, nil
}
