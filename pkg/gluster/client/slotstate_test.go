// SPDX-License-Identifier: Apache-2.0

package client

import (
	"testing"
	"time"
)

func TestDeathsOfTheLastTenMinutesAreCounted(t *testing.T) {
	var s slotState
	first := time.Now()
	for _, death := range []struct {
		after time.Duration
		want  Deaths
	}{
		{0, Deaths{1, 1}},
		{4 * time.Minute, Deaths{2, 2}},
		{9 * time.Minute, Deaths{3, 3}},
		{10 * time.Minute, Deaths{4, 3}},
		{time.Hour, Deaths{5, 1}},
	} {
		s.countDeath(first.Add(death.after))
		if got := s.countedDeaths(); got != death.want {
			t.Errorf("after %v: %+v, want %+v", death.after, got, death.want)
		}
	}
}
