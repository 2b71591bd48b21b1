// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

func TestWhenLimitsAreLookedAt(t *testing.T) {
	var l limited
	for i, look := range []struct {
		on, due, all bool
		version      string
	}{
		{false, false, true, ""}, {true, true, false, "1"}, {true, true, true, "1"}, {true, false, true, "1"}, {false, false, true, ""}, {true, true, true, "2"},
		{true, true, true, "3"}, {true, false, true, "3"},
	} {
		due := l.isDue(quota.State{On: look.on, Version: look.version})
		if due != look.due {
			t.Errorf("look %d: due %t", i, due)
		}
		if due {
			l.done(look.all)
		}
	}
	l.settled = time.Now().Add(-2 * owndir.Abandoned)
	if !l.isDue(quota.State{On: true, Version: "3"}) {
		t.Error("not due after an hour")
	}
}
