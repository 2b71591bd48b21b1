// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"sync"
	"sync/atomic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
)

// readers bounds what one operation reads at once: records, for one.
const readers = 8

// beside calls do for each number below n, several at once as long as there are permits that nobody waits for, and
// returns when all have returned.
func beside(permit *permits.Permit, n int, do func(i int)) {
	var next atomic.Int64
	work := func(permit *permits.Permit) {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			permit.GiveWay()
			do(i)
		}
	}
	var others sync.WaitGroup
	for range min(readers, n) - 1 {
		another, free := permit.Another()
		if !free {
			break
		}
		others.Go(func() {
			defer another.Release()
			work(another)
		})
	}
	work(permit)
	permit.Without(others.Wait)
}
