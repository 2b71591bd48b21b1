// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

// contender is one way to do what is measured.
type contender struct {
	name string
	unit chart.Unit
	// times is how many samples it gives in each round.
	times int
	// sample does it once and returns what it took. n never comes twice.
	sample func(ctx context.Context, n int) (float64, error)
}

// series is the samples of one contender, by round.
type series struct {
	contender
	rounds     [][]float64
	processors []float64 // that were busy meanwhile, where a meter told
}

// interleave takes samples of all contenders in turn, so that whatever else the machine does
// meets them all. The order alternates, since the one who comes second may profit.
func interleave(ctx context.Context, rounds int, contenders ...contender) ([]series, error) {
	all := make([]series, len(contenders))
	most := 0
	for i, c := range contenders {
		all[i] = series{contender: c, rounds: make([][]float64, rounds)}
		most = max(most, c.times)
	}
	for n := range rounds * most {
		round, turn := n/most, n%most
		order := make([]int, len(contenders))
		for i := range order {
			order[i] = i
		}
		if (round+turn)%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			if turn >= contenders[i].times {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			value, err := contenders[i].sample(ctx, n)
			if err != nil {
				return nil, err
			}
			all[i].rounds[round] = append(all[i].rounds[round], value)
		}
	}
	return all, nil
}

// timed is the sample of an action that takes some seconds.
func timed(action func(ctx context.Context, n int) error) func(context.Context, int) (float64, error) {
	return func(ctx context.Context, n int) (float64, error) {
		began := time.Now()
		err := action(ctx, n)
		return time.Since(began).Seconds(), err
	}
}

// meter tells how many processors were busy while something was timed, whoever used them: when all are, nothing that is done
// side by side makes it faster.
type meter struct{ busy []float64 }

// metered is the least time that a meter tells about: the kernel counts hundredths of a second.
const metered = 100 * time.Millisecond

func (m *meter) timed(action func(ctx context.Context, n int) error) func(context.Context, int) (float64, error) {
	return func(ctx context.Context, n int) (float64, error) {
		before, errBefore := busyTime()
		took, err := timed(action)(ctx, n)
		after, errAfter := busyTime()
		if took > metered.Seconds() {
			m.busy = append(m.busy, (after-before)/took)
		}
		return took, errors.Join(errBefore, err, errAfter)
	}
}

// busyTime is how many seconds the processors have worked since the machine started.
func busyTime() (float64, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	stat, err := proc.Stat()
	all := stat.CPUTotal
	return all.User + all.Nice + all.System + all.IRQ + all.SoftIRQ, err
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// measure sums a series up.
func (s series) measure() report.Measure {
	m := report.Measure{Name: s.name, Unit: s.unit}
	var all []float64
	for _, round := range s.rounds {
		all = append(all, round...)
	}
	medians := []float64{median(all)}
	for _, round := range s.rounds {
		medians = append(medians, median(round))
	}
	if len(s.processors) > 0 {
		m.Processors = median(s.processors)
	}
	m.Median, m.Low, m.High, m.Samples = medians[0], slices.Min(medians), slices.Max(medians), len(all)
	return m
}

// point is the measure at one place of a curve.
func (s series) point(x int) chart.Point {
	m := s.measure()
	return chart.Point{X: float64(x), Y: m.Median, Low: m.Low, High: m.High}
}

// by compares the driver with a baseline: driver ÷ baseline.
func (s series) by(baseline series, what string, aim report.Aim, fair string) report.Figure {
	return s.compare(baseline, what, aim, fair, false)
}

// under is the other way round, baseline ÷ driver: how many times faster, or less.
func (s series) under(baseline series, what string, aim report.Aim, fair string) report.Figure {
	return s.compare(baseline, what, aim, fair, true)
}

func (s series) compare(baseline series, what string, aim report.Aim, fair string, inverse bool) report.Figure {
	f := report.Figure{What: what, Driver: s.measure(), Baseline: baseline.measure(), Fair: fair, Inverse: inverse, Aim: aim}
	ratio := func(driver, baseline float64) float64 {
		if inverse {
			return baseline / driver
		}
		return driver / baseline
	}
	f.Ratio = ratio(f.Driver.Median, f.Baseline.Median)
	each := []float64{f.Ratio}
	for i := range s.rounds {
		each = append(each, ratio(median(s.rounds[i]), median(baseline.rounds[i])))
	}
	f.Low, f.High = slices.Min(each), slices.Max(each)
	return f
}
