// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
)

// overWires are the results of the same scenario with the servers behind a wire, the shortest first.
func overWires(loopback Result, all []Result) []Result {
	return slices.DeleteFunc(slices.Clone(all), func(r Result) bool { return r.Scenario != loopback.Scenario || r.Run.RoundTrip == 0 })
}

// same is the figure that compares the same with the same baseline in another run, if there is one. Its own name may
// have another number of files in it: of those with this baseline it is the one at the same place.
func (r Result) same(as Result, f Figure) (Figure, bool) {
	place := 0
	for _, other := range as.Figures {
		if other == f {
			break
		}
		if other.Baseline.Name == f.Baseline.Name {
			place++
		}
	}
	for _, other := range r.Figures {
		if other.Baseline.Name != f.Baseline.Name {
			continue
		}
		if place == 0 {
			return other, true
		}
		place--
	}
	return Figure{}, false
}

// sideBySide writes the ratios on loopback and over each wire into one table.
func sideBySide(p *strings.Builder, loopback Result, wired []Result) {
	if len(wired) == 0 {
		return
	}
	p.WriteString("With the servers behind a wire, driver and baseline alike, by the time of a round trip:\n\n| what | baseline | loopback |")
	for _, r := range wired {
		fmt.Fprintf(p, " %v |", r.Run.roundTrip())
	}
	p.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(wired)) + "\n")
	for _, f := range loopback.Figures {
		fmt.Fprintf(p, "| %s | %s | %s |", f.What, f.Baseline.Name, f.words())
		for _, r := range wired {
			over, ok := r.same(loopback, f)
			if !ok {
				p.WriteString(" – |")
				continue
			}
			fmt.Fprintf(p, " %s: %s, %s%s |", over.words(), over.Driver.value(), over.Baseline.value(), over.aimed())
		}
		p.WriteString("\n")
	}
	p.WriteString("\n")
	for _, r := range wired {
		fmt.Fprintf(p, "<sub>`make bench BENCH=%s ROUND_TRIP=%v`: %s, %d interleaved rounds, took %d s on %s, commit %s.</sub>\n\n",
			r.Scenario, r.Run.roundTrip(), r.Run.Size, r.Run.Rounds, r.Run.Seconds, r.Run.Date, r.Run.Commit)
	}
}

// aimed says what the aim is, if there is one, and whether it is met.
func (f Figure) aimed() string {
	if f.Aim == (Aim{}) {
		return ""
	}
	return fmt.Sprintf(" (aim %s: %s)", f.Aim, f.Verdict())
}

// networkChart draws how the first thing that is compared grows with the round trip, for the driver and all it is
// compared with.
func networkChart(loopback Result, wired []Result) string {
	first := loopback.Figures[0]
	lines := []chart.Line{{Name: first.Driver.Name, Driver: true}}
	for _, f := range loopback.Figures {
		if f.What != first.What {
			continue
		}
		line := chart.Line{Name: f.Baseline.Name}
		for _, r := range wired {
			over, ok := r.same(loopback, f)
			if !ok {
				continue
			}
			at := r.Run.RoundTrip * 1000
			line.Points = append(line.Points, over.Baseline.point(at))
			if f == first {
				lines[0].Points = append(lines[0].Points, over.Driver.point(at))
			}
		}
		if len(line.Points) > 0 {
			lines = append(lines, line)
		}
	}
	return chart.Lines(loopback.Title+" over a network", "round trip in ms", first.What+", median", first.Driver.Unit, lines)
}

func (m Measure) point(x float64) chart.Point {
	return chart.Point{X: x, Y: m.Median, Low: m.Low, High: m.High}
}
