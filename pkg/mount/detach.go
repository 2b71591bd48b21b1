// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// detachRounds bounds how often Detach looks again. One is enough unless
// somebody mounts or unmounts there at the same time.
const detachRounds = 8

// Detach lazily unmounts everything that is mounted at target, however many
// mounts are stacked there. Nothing mounted, or no such path, is no error, so it
// may be repeated. Afterwards, and only on success, mountinfo shows nothing at
// target; open files in it stay usable until they are closed.
//
// It never touches a mounted filesystem, so it does not block on a dead one.
// The target is named as for At, and what it names is not removed. Errors wrap
// the errno; EINVAL means that the mounts there cannot be reached by this path,
// e.g. because another mount covers a parent of it, or may not be removed in
// this namespace.
func Detach(target string) error {
	path, err := resolveParent(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	var refused error
	for range detachRounds {
		stack, err := listAt(path)
		if err != nil {
			return fmt.Errorf("detach %s: %w", path, err)
		}
		if len(stack) == 0 {
			return nil
		}
		if refused, err = detachTop(path, len(stack)); err != nil {
			return fmt.Errorf("detach %s: umount2: %w", path, err)
		}
	}
	return fmt.Errorf("detach %s: mounts are still there after %d rounds: %w", path, detachRounds, cmp.Or(refused, error(unix.EBUSY)))
}

// detachTop unmounts up to n mounts at path. It ends early, with the reason in
// refused, when the kernel says that nothing is mounted there: somebody else may
// have been faster, so the caller looks again.
func detachTop(path string, n int) (refused, err error) {
	for range n {
		switch err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
			return err, nil
		case err != nil:
			return nil, err
		}
	}
	return nil, nil
}
