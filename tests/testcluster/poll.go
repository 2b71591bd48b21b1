// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"fmt"
	"testing"
	"time"
)

const (
	firstPause = 5 * time.Millisecond
	longPause  = 100 * time.Millisecond
)

// Eventually calls cond until it returns nil and fails the test with cond's last error if it has not done so within the
// given time. It is the one place where a test waits. cond itself must not block: see Within.
func Eventually(t testing.TB, within time.Duration, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := Poll(ctx, cond); err != nil {
		t.Fatalf("not within %v: %v", within, err)
	}
}

// Poll calls cond at growing intervals of 5 to 100 ms until it returns nil, and then returns nil. When ctx is done first,
// the error wraps ctx's error and tells cond's last one. cond is called at least once.
func Poll(ctx context.Context, cond func() error) error {
	for pause := firstPause; ; pause = min(pause*3/2, longPause) {
		err := cond()
		if err == nil {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-timer.C:
		}
	}
}

// Within runs f on a goroutine of its own and returns its error, or one that wraps context.DeadlineExceeded when f has not
// returned in time. It is for whatever may block for ever, as every system call on a FUSE mount may; f then goes on running
// until the kernel lets it go (at the latest when the mount's client ends).
func Within(within time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("no answer within %v: %w", within, context.DeadlineExceeded)
	}
}
