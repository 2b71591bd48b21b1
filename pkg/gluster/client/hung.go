// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// hungLimit is how long a client may be silent about its own state, which takes it a millisecond and asks no server,
// before it is taken for hung: stopped, or in a deadlock. Nothing that is mounted from it answers then, and nothing
// but its end helps.
const hungLimit = 2 * time.Minute

// endHung kills clients that are hung; their mounts are repaired as after any other end. One that waits for servers
// is not hung: it tells its state all the time. One that hung before this process found it has never told any, and is
// left alone: it cannot be known from one that waits.
func (h *Host) endHung(ctx context.Context) {
	for _, c := range h.Running() {
		o := c.Observed()
		if o.Reading == nil || o.ReadErr != nil {
			c.prober.Ask() // by which one that was adopted, or has another graph, becomes able to tell its state
		}
		c.prober.AskState()
		silent := h.now().Sub(o.ReadAsked)
		if o.ReadAsked.IsZero() || silent < hungLimit {
			continue
		}
		logger := c.slot.logger(ctx).WithValues("pid", c.process.PID)
		logger.Error(nil, "Killing a client that hangs: it has not told its own state", "for", silent.Round(time.Second))
		c.hung.Store(true)
		if err := c.process.Signal(unix.SIGKILL); err != nil {
			logger.Error(err, "Cannot kill it")
		}
	}
}
