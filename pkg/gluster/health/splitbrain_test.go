// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package health

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
)

// Whatever in split-brain is looked up through a client that settles is settled, and nothing is kept.
func TestNothingIsLookedUpThroughTheClientsThatSettleOrSetLimits(t *testing.T) {
	h, o := shared(t)
	want := clients.Ensure(t, h, gv0)
	settling, err := h.EnsureSettling(t.Context(), gv0, gluster.ByMtime)
	do(t, err)
	oneSided, err := h.EnsureOneSide(t.Context(), gv0, []string{"gv0-client-1"})
	do(t, err)
	privileged, err := h.EnsurePrivileged(t.Context(), gv0)
	do(t, err)
	o.splits.look(t.Context(), o.running())
	for name, c := range map[string]*client.Client{"settles": settling, "has one side": oneSided, "sets limits": privileged} {
		if o.splits.of[c] != nil {
			t.Errorf("the client that %s is asked for files", name)
		}
	}
	if o.splits.of[want] == nil || len(o.splits.of) != 1 {
		t.Errorf("%d clients are asked for files, want the usual one", len(o.splits.of))
	}
}
