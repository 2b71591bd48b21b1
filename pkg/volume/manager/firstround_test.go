// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// A bug that the first round meets does not end the process: its next start would meet it again.
func TestAFirstRoundThatPanicsEndsNothing(t *testing.T) {
	for name, run := range map[string]func(*Manager, context.Context, gluster.Volume){
		"of the lease": (*Manager).keepLease, "of the copies": (*Manager).keepCopying,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			m := &Manager{leases: leases{renewed: time.Hour}} // which has nothing that a round needs
			if run(m, ctx, gluster.Volume{Cluster: "pi", Name: "gv0"}); ctx.Err() == nil {
				t.Error("it has ended")
			}
		})
	}
}

// A count goes on without its caller, on a goroutine of its own.
func TestACountThatPanicsIsAnError(t *testing.T) {
	m := &Manager{} // which has nothing that a count needs
	if err := m.count(t.Context(), gluster.Volume{Cluster: "pi", Name: "gv0"}, true); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
}
