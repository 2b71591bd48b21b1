// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"context"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// rotateInterval is how often at most the sizes of logs are looked at while clients write to them. It keeps the
// overshoot of a client that floods its log small. Nobody looks while no client writes.
const rotateInterval = 250 * time.Millisecond

// KeepSmall has logs rotated that have grown too large, until ctx is done: after each time that something was written in
// the directories, after one came, and after each interval.
func KeepSmall(ctx context.Context, interval time.Duration, came <-chan struct{}, dirs func() []string, rotate func(context.Context)) {
	w, err := newWatch(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot be told what clients log; looking at the sizes of their logs at intervals",
			"interval", interval)
	}
	for {
		panics.Catch(ctx, "rotation of logs", func() {
			w.arm(dirs()) // before the look, so that nothing that is written falls between
			rotate(ctx)
		})
		select {
		case <-ctx.Done():
			return
		case <-w.written():
		case <-came: // a client, whose log is to be watched
		case <-time.After(interval):
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rotateInterval):
		}
	}
}
