// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"time"

	"golang.org/x/sys/unix"
)

// moment is a time in nanoseconds that all processes of the machine agree on and that
// never jumps: CLOCK_MONOTONIC.
type moment int64

func now() moment {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // the kernel has this clock
	}
	return moment(t.Nano())
}

func (m moment) since(earlier moment) time.Duration { return time.Duration(m - earlier) }
