// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
)

// charts draws the result, each picture by the name of its file.
func (r Result) charts() map[string]string {
	pictures := map[string]string{}
	if picture := r.figures(); picture != "" {
		pictures[r.Scenario+".svg"] = picture
	}
	for _, c := range r.Curves {
		pictures[c.Name+".svg"] = chart.Lines(c.Title, c.Things, c.What, c.Unit, c.Lines)
	}
	if len(r.Counts) > 0 {
		var bars []chart.Bar
		for _, c := range r.Counts {
			bars = append(bars, chart.Bar{Name: c.Operation, Value: c.PerCall, Driver: c.Driver})
		}
		pictures[r.Scenario+".svg"] = chart.Bars(r.Title, "requests to the bricks for one call", chart.Requests, []chart.Group{{Name: "One call, nothing else going on", Bars: bars}})
	}
	return pictures
}

// figures draws those figures that no curve shows: around 1 where the aim is to be no
// different from the baseline, else as bars beside it.
func (r Result) figures() string {
	if len(r.Figures) == 0 || len(r.Curves) > 0 || len(r.Counts) > 0 {
		return ""
	}
	if aim := r.Figures[0].Aim; aim.AtLeast > 0 && aim.AtMost > 0 {
		var ratios []chart.Ratio
		for _, f := range r.Figures {
			note := fmt.Sprintf("%s, raw %s", f.Driver.Unit.Format(f.Driver.Median), f.Baseline.Unit.Format(f.Baseline.Median))
			ratios = append(ratios, chart.Ratio{Name: f.What, Value: f.Ratio, Low: f.Low, High: f.High, Note: note})
		}
		return chart.Ratios(r.Title, "driver ÷ baseline; the band is the aim", aim.AtLeast, aim.AtMost, ratios)
	}
	var groups []chart.Group
	for _, f := range r.Figures {
		if len(groups) == 0 || groups[len(groups)-1].Name != f.What {
			groups = append(groups, chart.Group{Name: f.What, Bars: []chart.Bar{bar(f.Driver, "", true)}})
		}
		g := &groups[len(groups)-1]
		g.Bars = append(g.Bars, bar(f.Baseline, f.note(), false))
	}
	return chart.Bars(r.Title, axis(r.Figures[0].Driver.Unit), r.Figures[0].Driver.Unit, groups)
}

func axis(u chart.Unit) string {
	switch u {
	case chart.Seconds:
		return "time, median"
	case chart.Bytes:
		return "memory and size"
	case chart.PerSecond, chart.BytesPerSecond, chart.Requests:
	}
	return "median"
}

func bar(m Measure, note string, driver bool) chart.Bar {
	return chart.Bar{Name: m.Name, Value: m.Median, Low: m.Low, High: m.High, Note: note, Driver: driver}
}

// note says behind the baseline's bar how the driver compares.
func (f Figure) note() string {
	note := "driver " + f.words()
	if f.Aim != (Aim{}) {
		note += fmt.Sprintf(" (aim %s)", f.Aim)
	}
	return note
}
