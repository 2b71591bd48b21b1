// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

func TestWhenLimitsAreLookedAt(t *testing.T) {
	var l limited
	for i, look := range []struct {
		on, due, all bool
	}{
		{false, false, true}, {true, true, false}, {true, true, true}, {true, false, true}, {false, false, true}, {true, true, true},
	} {
		due := l.isDue(look.on)
		if due != look.due {
			t.Errorf("look %d: due %t", i, due)
		}
		if due {
			l.done(look.all)
		}
	}
	l.settled = time.Now().Add(-2 * store.Abandoned)
	if !l.isDue(true) {
		t.Error("not due after an hour")
	}
}
