// SPDX-License-Identifier: Apache-2.0

package reconnect

import (
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
)

func TestWhenATrialIsDue(t *testing.T) {
	start := time.Now()
	for name, test := range map[string]struct {
		lost []int           // of two bricks, every ten seconds
		due  []time.Duration // each ends without success
	}{
		"all are there": {lost: repeat(0, 1000)},
		"all are lost": {
			lost: repeat(2, 200),
			due:  []time.Duration{30 * time.Second, 90 * time.Second, 210 * time.Second, 450 * time.Second, 930 * time.Second, 1530 * time.Second},
		},
		"one is lost":                            {lost: repeat(1, 100), due: []time.Duration{5 * time.Minute, 15 * time.Minute}},
		"all, for 20 s":                          {lost: append(repeat(2, 2), repeat(0, 100)...)},
		"all, 20 s after one":                    {lost: append(repeat(1, 2), repeat(2, 5)...), due: []time.Duration{50 * time.Second}},
		"all, again and again, never for 30 s":   {lost: []int{2, 2, 2, 0, 2, 2, 2, 0, 2, 2, 2, 0}},
		"one, again and again, never for longer": {lost: append(append(repeat(1, 29), 0), repeat(1, 29)...)},
	} {
		var o outage
		var due []time.Duration
		for i, n := range test.lost {
			now := start.Add(time.Duration(i) * 10 * time.Second)
			if o.look(n, 2, now, usualPaces) {
				due = append(due, now.Sub(start))
				o.tried(now, usualPaces)
			}
		}
		if len(due) != len(test.due) {
			t.Errorf("%s: due after %v, want %v", name, due, test.due)
			continue
		}
		for i := range due {
			if due[i] != test.due[i] {
				t.Errorf("%s: due after %v, want %v", name, due, test.due)
			}
		}
	}
}

func repeat(n, times int) []int {
	all := make([]int, times)
	for i := range all {
		all[i] = n
	}
	return all
}

func TestWhatIsBetter(t *testing.T) {
	reading := func(connected ...bool) *meta.Reading {
		r := &meta.Reading{Graph: &meta.Graph{}}
		for i, c := range connected {
			r.Graph.Bricks = append(r.Graph.Bricks, meta.Brick{Host: string(rune('a' + i)), Path: "/b"})
			r.Bricks = append(r.Bricks, meta.BrickState{Connected: c})
		}
		return r
	}
	for name, test := range map[string]struct {
		now, trial *meta.Reading
		want       bool
	}{
		"one brick more":                     {reading(false, true), reading(true, true), true},
		"from none to one":                   {reading(false, false), reading(false, true), true},
		"the same":                           {reading(false, true), reading(false, true), false},
		"none both":                          {reading(false, false), reading(false, false), false},
		"another one":                        {reading(true, false), reading(false, true), false},
		"two others, and one less":           {reading(true, false, false), reading(false, true, true), false},
		"fewer":                              {reading(true, true), reading(true, false), false},
		"of one that tells nothing":          {nil, reading(false, true), true},
		"of one that tells nothing, to none": {nil, reading(false, false), false},
		"a brick that only the trial knows":  {reading(true), reading(true, true), false},
	} {
		if got := isBetter(test.now, test.trial); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
