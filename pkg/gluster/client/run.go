// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// LookInterval is how often it is looked for clients that are idle or hang, for which each is asked for its own state.
const LookInterval = 10 * time.Second

// Run kills clients that hang, detaches idle ones, rotates logs, and gives clients the certificates that their clusters
// have now, until ctx is done. An idle client is one that only its own mount shows, that nobody holds, and that was last
// used a minute ago. It is never signalled: it ends by itself as its last user does, which may be a descriptor or another
// mount namespace. At most one Host of a state directory may Run: see Keep.
//
// One with a mounter leaves all that to it: it finds the clients that are bound here, and stops being a user of those
// that are idle here.
//
// Each round of each of these tasks is on its own: one that waits or panics keeps no other from its work, nor itself
// from the next round (TestARoundThatPanicsIsFollowedByTheNext).
func (h *Host) Run(ctx context.Context) {
	if h.mounter != nil {
		panics.Every(ctx, h.look, "look for clients beside the mounter", h.lookBesideMounter)
		return
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { panics.Every(ctx, h.look, "look for clients that hang", h.endHung) })
	tasks.Go(func() { panics.Every(ctx, h.look, "look for idle clients", h.detachIdleClients) })
	tasks.Go(func() { panics.Every(ctx, h.look, "renewal of certificates", newRenewal(h).round) })
	tasks.Go(func() { clientlog.KeepSmall(ctx, h.look, h.logs, h.logDirs, h.rotateLogs) })
	tasks.Wait()
}

// lookBesideMounter is a round of a Host whose clients are the mounter's.
func (h *Host) lookBesideMounter(ctx context.Context) {
	for _, s := range h.allSlots() {
		s.dropReplaced()
	}
	h.Adopt(ctx)
	if err := h.releaseIdle(); err != nil {
		klog.FromContext(ctx).Error(err, "Cannot tell which clients are idle; trying again")
	}
}
