// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

func TestContendersTakeTurnsAndChangePlaces(t *testing.T) {
	var order []string
	add := func(name string, times int) contender {
		return contender{name, chart.Seconds, times, func(_ context.Context, n int) (float64, error) {
			order = append(order, name)
			return float64(n), nil
		}}
	}
	all, err := interleave(t.Context(), 2, add("fast", 2), add("slow", 1))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"fast", "slow", "fast", "slow", "fast", "fast"}; !slices.Equal(order, want) {
		t.Errorf("the order was %q, want %q", order, want)
	}
	if got := all[0].rounds; len(got) != 2 || !slices.Equal(got[0], []float64{0, 1}) || !slices.Equal(got[1], []float64{2, 3}) {
		t.Errorf("the samples are %v", got)
	}
}

func TestARatioIsOneOfMediansAndItsSpreadThatOfTheRounds(t *testing.T) {
	driver := series{rounds: [][]float64{{2, 2, 100}, {4, 4, 4}}}
	baseline := series{rounds: [][]float64{{1}, {1}}}
	f := driver.by(baseline, "", report.Aim{}, "")
	if f.Ratio != 4 || f.Low != 2 || f.High != 4 {
		t.Errorf("got %v (%v–%v), want 4 (2–4)", f.Ratio, f.Low, f.High)
	}
	if f := driver.under(baseline, "", report.Aim{}, ""); f.Ratio != 0.25 || f.Low != 0.25 || f.High != 0.5 {
		t.Errorf("inverse: got %v (%v–%v), want 0.25 (0.25–0.5)", f.Ratio, f.Low, f.High)
	}
}
