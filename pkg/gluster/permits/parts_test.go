// SPDX-License-Identifier: Apache-2.0

package permits

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func TestOneVolumeAloneHasThemAll(t *testing.T) {
	if n := len(most(t, pool(64, gv0), gv0)); n != 64 {
		t.Errorf("it has %d of 64", n)
	}
}

func TestAHungVolumeLeavesTheOthersTheirPart(t *testing.T) {
	for _, test := range []struct {
		limit     int
		listed    []gluster.Volume
		hung      int
		afterward map[gluster.Volume]int // what the others can have then, one after the other
	}{
		{64, []gluster.Volume{gv0, gv1}, 48, map[gluster.Volume]int{gv1: 16}},
		{64, []gluster.Volume{gv0, gv1, gv2}, 44, map[gluster.Volume]int{gv1: 10, gv2: 10}},
		{3, []gluster.Volume{gv0, gv1}, 2, map[gluster.Volume]int{gv1: 1}},
		{1, []gluster.Volume{gv0, gv1, gv2}, 1, map[gluster.Volume]int{gv1: 1, gv2: 1}},
		{64, []gluster.Volume{gv1}, 48, map[gluster.Volume]int{gv1: 16}}, // it was taken out of the clusters file
	} {
		t.Run(fmt.Sprint(test.limit, " for ", test.listed), func(t *testing.T) {
			p := pool(test.limit, test.listed...)
			if n := len(most(t, p, gv0)); n != test.hung {
				t.Errorf("the one that hangs has %d, want %d", n, test.hung)
			}
			for v, want := range test.afterward {
				if n := len(most(t, p, v)); n != want {
					t.Errorf("%s has %d, want %d", v, n, want)
				}
			}
		})
	}
}

// The common half is had by whose deadline is the first, whichever Gluster volume it is on.
func TestTheCommonHalfIsForWhoIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(8, gv0, gv1) // 2 each, 4 in common
		hung, other := most(t, p, gv0), most(t, p, gv1)
		if len(hung) != 6 || len(other) != 2 {
			t.Fatalf("%d and %d", len(hung), len(other))
		}
		had := make(chan gluster.Volume, 2)
		for v, deadline := range map[gluster.Volume]time.Duration{gv0: time.Minute, gv1: time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			go func() {
				if _, err := p.Acquire(ctx, v); err != nil {
					t.Error(err)
				}
				had <- v
			}()
		}
		synctest.Wait()
		hung[0].Release()
		if v := <-had; v != gv1 {
			t.Errorf("%s had it", v)
		}
		other[0].Release() // what gv1 gives back of three is common, too
		if v := <-had; v != gv0 {
			t.Errorf("%s had it", v)
		}
	})
}
