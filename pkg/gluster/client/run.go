// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"k8s.io/klog/v2"
)

const (
	// lookInterval is how often it is looked for clients that are idle or hang.
	lookInterval = 10 * time.Second
	// rotateInterval keeps the overshoot of a client that floods its log small; looking costs a stat for each client.
	rotateInterval = 250 * time.Millisecond
)

// Run kills clients that hang, detaches idle ones and rotates logs until ctx is done. An idle client is one that only
// its own mount shows, that nobody holds, and that was last used a minute ago. It is never signalled: it ends by
// itself as its last user does, which may be a descriptor or another mount namespace. At most one Host of a state
// directory should Run.
//
// One with a mounter leaves all that to it: it finds the clients that are bound here, and stops being a user of those
// that are idle here.
func (h *Host) Run(ctx context.Context) {
	if h.mounter != nil {
		h.runBesideMounter(ctx)
		return
	}
	look, rotate := time.NewTicker(lookInterval), time.NewTicker(rotateInterval)
	defer look.Stop()
	defer rotate.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rotate.C:
			h.rotateLogs(ctx)
		case <-look.C:
			h.endHung(ctx)
			h.detachIdleClients(ctx)
		}
	}
}

// runBesideMounter is Run for a Host whose clients are the mounter's.
func (h *Host) runBesideMounter(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.Adopt(ctx)
			if err := h.releaseIdle(); err != nil {
				klog.FromContext(ctx).Error(err, "Cannot tell which clients are idle; trying again")
			}
		}
	}
}
