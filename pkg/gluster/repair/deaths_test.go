// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"fmt"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// They have worked before, so that nothing is wrong with their start.
func TestClientsThatDieAgainAndAgainAfterTheyHaveWorkedAreStartedWithoutHurry(t *testing.T) {
	h := clients.SharedHost(t)
	r := New(h, nil)
	for deaths := 1; deaths <= 5; deaths++ {
		c := clients.Ensure(t, h, gv0)
		for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
			clients.CheckWorks(t, c)
		}
		clients.Kill(t, c)
		var kept client.KeptMount
		testcluster.Eventually(t, clients.Patience, func() error {
			h.Adopt(t.Context())
			all, err := h.KeptMounts()
			if err != nil || len(all) != deaths || all[0].Deaths.All != deaths {
				return fmt.Errorf("kept is %+v after %d deaths, %w", all, deaths, err)
			}
			kept = all[0]
			return nil
		})
		if due := r.backoffOf(kept).isDue(); due != (deaths < 5) {
			t.Errorf("after %d deaths a start is due: %t", deaths, due)
		}
	}
}
