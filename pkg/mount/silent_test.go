// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ask"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// runRepair is a Repair whose error does not tell of processes that give no answer: tests of other packages, which run
// beside this one, have some at times.
func runRepair(ctx context.Context, known *Repairer, dead map[*Held]Open) (Report, error) {
	report, err := known.Repair(ctx, dead)
	return report, withoutNoAnswer(err)
}

func withoutNoAnswer(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var others []error
		for _, one := range joined.Unwrap() {
			others = append(others, withoutNoAnswer(one))
		}
		return errors.Join(others...)
	}
	if errors.As(err, new(ask.NoAnswerError)) {
		return nil
	}
	return err
}

// isShown is IsShown when all processes have answered.
func isShown(t *testing.T, device Device, except ...string) (is bool, err error) {
	t.Helper()
	testcluster.Eventually(t, 2*time.Minute, func() error {
		is, err = IsShown(device, except...)
		if errors.As(err, new(ask.NoAnswerError)) {
			return err
		}
		return nil
	})
	return is, err
}
