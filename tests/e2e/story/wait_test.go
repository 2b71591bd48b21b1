// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const pollInterval = 200 * time.Millisecond

// How long what usually takes seconds may take on a busy machine.
const (
	patience      = 2 * time.Minute
	rebootTimeout = 5 * time.Minute
)

// await repeats check until it returns nil, and ends the test with its last error if that is not
// within the timeout. It returns how long it took.
func (s *step) await(timeout time.Duration, what string, check func(ctx context.Context) error) time.Duration {
	s.Helper()
	ctx, cancel := s.context(timeout)
	defer cancel()
	began := time.Now()
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		err := check(ctx)
		if err == nil || ctx.Err() == nil {
			last = err // not the error of a call that was cut off
		}
		return err == nil, nil
	})
	if err != nil {
		s.Fatalf("%s: not so within %s: %v", what, timeout, last)
	}
	return time.Since(began)
}
