// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Line is a curve over a number of things.
type Line struct {
	Name   string  `json:"name"`
	Driver bool    `json:"driver"`
	Points []Point `json:"points"`
}

// Point is a median with its spread at one place of a curve.
type Point struct {
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Lines draws curves over a logarithmic x axis. The y axis is linear and begins at 0, but
// logarithmic where the values lie far apart.
func Lines(title, things, what string, unit Unit, lines []Line) string {
	const from, to, height, far = 90.0, 560.0, 300.0, 20
	var xs, ys []float64
	for _, l := range lines {
		for _, p := range l.Points {
			xs, ys = append(xs, p.X), append(ys, p.Y, p.High)
		}
	}
	y := linearScale(0, slices.Max(ys)*1.05, unit.base(), height, top+20)
	if slices.Max(ys) > far*slices.Min(ys) {
		y = logScale(ys, unit.base(), height, top+20)
		what += ", logarithmic"
	}
	x := logScale(xs, 1, from, to)
	x.low, x.high, x.ticks = slices.Min(xs)/1.4, slices.Max(xs)*1.4, slices.Compact(slices.Sorted(slices.Values(xs)))
	var s svg
	s.xAxis(x, top+20, height, things+", logarithmic", Number)
	for _, tick := range y.ticks {
		s.line(from, y.at(tick), to, y.at(tick), `stroke="`+faint+`"`)
		s.text(from-8, y.at(tick)+4, "end", `font-size="11" fill="`+subtle+`"`, unit.Format(tick))
	}
	s.line(from, top+20, from, height, `stroke="`+subtle+`"`)
	s.text(16, top+8, "start", `font-size="11" fill="`+subtle+`"`, what)
	labels := places(lines, y)
	for i, l := range lines {
		s.curve(l, x, y, unit, labels[i])
	}
	return s.page(title, height+bottom)
}

func (s *svg) curve(l Line, x, y scale, unit Unit, label float64) {
	color, weight := gray, ""
	if l.Driver {
		color, weight = blue, `font-weight="bold"`
	}
	var path []string
	for _, p := range l.Points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(p.Y)))
		s.line(x.at(p.X), y.at(p.Low), x.at(p.X), y.at(p.High), `stroke="`+color+`"`)
		s.add(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`, x.at(p.X), y.at(p.Y), color)
	}
	s.add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(path, " "), color)
	last := l.Points[len(l.Points)-1]
	s.text(x.to+10, label+4, "start", weight, l.Name+": "+unit.Format(last.Y))
}

// places are where the names of the lines go: at their ends, but not on each other.
func places(lines []Line, y scale) []float64 {
	const apart = 18.0
	order := make([]int, len(lines))
	at := make([]float64, len(lines))
	for i, l := range lines {
		order[i], at[i] = i, y.at(l.Points[len(l.Points)-1].Y)
	}
	slices.SortFunc(order, func(a, b int) int { return int(at[a] - at[b]) })
	for i := 1; i < len(order); i++ {
		at[order[i]] = max(at[order[i]], at[order[i-1]]+apart)
	}
	return at
}

func digits2(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
