// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"testing"
	"time"
)

func TestTheDistanceOfRounds(t *testing.T) {
	p := newPace()
	ends := func(repaired, waiting bool, want time.Duration) {
		t.Helper()
		if p.ended(repaired, waiting); p.distance != want || time.Until(p.due) > want {
			t.Errorf("the next round is due %v later, want %v", p.distance, want)
		}
	}
	for _, want := range []int{10, 20, 40, 80, 160, 320, 600, 600} {
		ends(false, false, time.Duration(want)*time.Second)
	}
	ends(true, false, 10*time.Second)
	for _, want := range []int{20, 40, 60, 60} {
		ends(false, true, time.Duration(want)*time.Second)
	}
	p.changed()
	if time.Until(p.due) > repairInterval {
		t.Errorf("after a change it is due in %v", time.Until(p.due))
	}
	first := p.due
	if p.changed(); p.due.After(first) {
		t.Error("changes that follow each other put it off")
	}
	ends(false, false, repairInterval)
	ends(false, false, 2*repairInterval)
	p.died()
	ends(false, false, repairInterval)
}
