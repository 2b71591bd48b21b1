// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// Readlink reads a symbolic link of the driver's own as it is now, even if another host has just replaced it.
func Readlink(dir *safepath.Dir, name string) (string, error) {
	return reread(dir, name, func() (string, error) { return dir.Readlink(name) })
}

// reread repeats what failed because the kernel knew an earlier file of that name.
func reread[T any](dir *safepath.Dir, name string, read func() (T, error)) (T, error) {
	const attempts = 3
	result, err := read()
	for range attempts {
		if !errors.Is(err, unix.ESTALE) {
			break
		}
		if err = dir.Refresh(name); err == nil || errors.Is(err, unix.ESTALE) {
			result, err = read()
		}
	}
	return result, err
}
