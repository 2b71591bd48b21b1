// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// A Pi has no clock before it has asked the network for the time: what was repaired or told a second ago may seem to be an hour old, or to
// come in an hour.
func TestAClockThatIsSetRestartsAndKillsNobody(t *testing.T) {
	for name, since := range map[string]time.Duration{"forward": -time.Hour, "back": time.Hour, "not at all": 0} {
		for _, isOver := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, and its time is over: %t", name, isOver), func(t *testing.T) {
				stamp := time.Now().Add(since)
				w := New(statedir.Root(t.TempDir()), time.Minute, nil)
				if isOver { // as soon as it is known
					w.after, w.restarter.grace, w.restarter.window = 0, 0, 0
				}
				due := w.restarter.due([]statedir.Ended{{Connection: 1, Since: stamp}, {Connection: 2, Since: stamp, Repaired: stamp}}, w.after)
				if due[1] || due[2] != isOver {
					t.Errorf("due are %v", due)
				}
				h := statedir.Holder{Connection: 2, Pod: "pod", Container: "container", Writable: 1}
				told := []statedir.Restart{{Holder: h, First: 1 << 30, Told: stamp}} // no process has this number
				err := errors.Join(w.root.WriteRestarts(told), w.restarter.round(t.Context(), due, []statedir.Holder{h}))
				if err != nil {
					t.Fatal(err)
				}
				after, err := w.root.Restarts()
				if err != nil || len(after) != 1 || after[0].Killed.IsZero() == isOver {
					t.Errorf("restarts are %+v, %v", after, err)
				}
				if n := w.restarter.recent(told); n == 0 != isOver {
					t.Errorf("%d were told just now", n)
				}
			})
		}
	}
}
