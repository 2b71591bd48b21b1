// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// isOutdated says of an operation's error that what was open may be the cause.
func isOutdated(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED)
}
