// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

// leftLog is what was said last of what is left to repair.
type leftLog struct {
	err, lasting string
	unseen       bool
}

// update says what is new.
func (l *leftLog) update(ctx context.Context, report mount.Report, err error) {
	logger := klog.FromContext(ctx)
	before := *l
	*l = leftLog{lasting: describe(lasting(report)), unseen: report.Forbidden > 0}
	switch {
	case err != nil:
		if l.err = err.Error(); l.err != before.err {
			logger.Error(err, "Mounts of a dead client are left; they are repaired when it is back")
		}
	case len(report.Left) > 0: // a start is not due yet
		l.err = before.err
	}
	if l.lasting != "" && l.lasting != before.lasting {
		logger.Error(nil, "Mounts of dead clients stay dead; pods that need them have to be restarted", "mounts",
			l.lasting)
	}
	if l.unseen && !before.unseen {
		logger.Error(nil,
			"Some processes' mounts cannot be repaired, since they cannot be seen: "+
				"is the mounter privileged, with hostPID?", "processes", report.Forbidden)
	}
}

// lasting are the mounts that will not be repaired: not those that wait for a client, its answer, or its bricks.
func lasting(report mount.Report) []mount.Stale {
	return slices.DeleteFunc(slices.Clone(report.Stale), func(s mount.Stale) bool {
		return errors.Is(s.Err, mount.ErrNothingYet) || errors.Is(s.Err, unix.ETIMEDOUT) || errors.Is(s.Err, errNoBricks)
	})
}

// describe is the same for the same mounts in another order.
func describe(stale []mount.Stale) string {
	var mounts []string
	for _, s := range stale {
		of := fmt.Sprintf("process %d", s.PID)
		if pod := pods.OfProcess(s.PID).Pod; pod != "" {
			of = "pod " + pod + ", " + of
		}
		mounts = append(mounts, fmt.Sprintf("%s at %s of %s: %v", s.Root, s.Target, of, s.Err))
	}
	slices.Sort(mounts)
	return strings.Join(mounts, "; ")
}
