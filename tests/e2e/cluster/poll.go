// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"
)

// poll calls condition ten times a second until it returns nil. When ctx ends first, the error says what was waited for and why it
// was not so.
func poll(ctx context.Context, what string, condition func() error) error {
	const pause = 100 * time.Millisecond
	for {
		err := condition()
		if err == nil {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("waiting for %s: %w: %w", what, ctx.Err(), err)
		case <-timer.C:
		}
	}
}
