// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"time"
)

// SetHungLimit is for the test of what comes after a client that hangs, which takes a package above this one.
func (h *Host) SetHungLimit(limit time.Duration) { h.hung = limit }

// EndHung is what Run does now and then.
func (h *Host) EndHung(ctx context.Context) { h.endHung(ctx) }
