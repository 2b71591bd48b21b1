// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"time"
)

// Later has a Host that looks for clients that hang take it to be so much later than it is. It is for the test of what comes then, which takes a
// package above this one.
func (h *Host) Later(by time.Duration) { h.now = func() time.Time { return time.Now().Add(by) } }

// HungLimit is hungLimit.
const HungLimit = hungLimit

// EndHung is what Run does now and then.
func (h *Host) EndHung(ctx context.Context) { h.endHung(ctx) }
