// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestThePrivilegedClientIsNotReplaced has it die: nothing was bound from it, and the next who needs it starts one.
func TestThePrivilegedClientIsNotReplaced(t *testing.T) {
	h := clients.SharedHost(t)
	r := New(h, nil)
	ctx, cancel := context.WithTimeout(t.Context(), clients.Patience)
	defer cancel()
	c, err := h.EnsurePrivileged(ctx, gv0)
	if err != nil {
		t.Fatal(err)
	}
	clients.Signal(t, c, unix.SIGKILL)
	kept := false
	testcluster.Eventually(t, clients.Patience, func() error {
		h.Adopt(ctx)
		if _, err := r.repair(ctx); err != nil {
			t.Fatal(err)
		}
		mounts, err := h.KeptMounts()
		kept = kept || len(mounts) > 0
		if err == nil && (!kept || len(mounts) > 0) {
			err = fmt.Errorf("its mount was kept: %v; there are %v", kept, mounts)
		}
		for _, other := range h.Running() {
			if other != c {
				t.Fatalf("process %d was started in its place", other.Info().PID)
			}
		}
		return err
	})
	again, err := h.EnsurePrivileged(ctx, gv0)
	if err != nil || again == c {
		t.Errorf("the next one is %v, %v", again, err)
	}
}
