// SPDX-License-Identifier: Apache-2.0

package chart

// Group is bars that are compared with each other.
type Group struct {
	Name string
	Bars []Bar
}

// Bar is one value with its spread, of the driver or of what it is compared with.
type Bar struct {
	Name             string
	Value, Low, High float64
	Note             string // behind the bar: what the comparison says
	Driver           bool
}

// Bars draws groups of horizontal bars on a logarithmic axis. what names the axis.
func Bars(title, what string, unit Unit, groups []Group) string {
	const row, head, gap = 22.0, 24.0, 8.0
	var values []float64
	height := top
	for _, g := range groups {
		height += head + gap + row*float64(len(g.Bars))
		for _, b := range g.Bars {
			values = append(values, b.Value, b.High)
		}
	}
	x := logScale(values, unit.base(), left, right)
	var s svg
	s.xAxis(x, top, height, what+", logarithmic", unit.Format)
	y := top
	for _, g := range groups {
		s.text(16, y+16, "start", `font-weight="bold"`, g.Name)
		y += head
		for _, b := range g.Bars {
			s.bar(x, y, row, b, unit)
			y += row
		}
		y += gap
	}
	return s.page(title, height+bottom)
}

func (s *svg) bar(x scale, y, row float64, b Bar, unit Unit) {
	color, weight := gray, ""
	if b.Driver {
		color, weight = blue, `font-weight="bold"`
	}
	s.text(left-8, y+row/2+4, "end", weight, b.Name)
	s.rect(x.from, y+3, x.at(b.Value)-x.from, row-6, `fill="`+color+`"`)
	if b.High > b.Low {
		s.whisker(x.at(b.Low), x.at(b.High), y+row/2)
	}
	text := unit.Format(b.Value)
	if b.Note != "" {
		text += " · " + b.Note
	}
	s.text(max(x.at(b.Value), x.at(b.High))+6, y+row/2+4, "start", weight+` font-size="11" paint-order="stroke" stroke="#ffffff" stroke-width="3"`, text)
}

// Ratio is one comparison with the baseline.
type Ratio struct {
	Name             string
	Value, Low, High float64
	Note             string
}

// Ratios draws each ratio as a dot with its spread around the baseline, which is 1, on a
// linear axis. The aim is the band from aimLow to aimHigh.
func Ratios(title, what string, aimLow, aimHigh float64, ratios []Ratio) string {
	const row, margin = 26.0, 0.02
	low, high := aimLow-margin, aimHigh+margin
	for _, r := range ratios {
		low, high = min(low, r.Low), max(high, r.High)
	}
	height := top + 14 + row*float64(len(ratios))
	x := linearScale(low, high, 1, left, right)
	var s svg
	s.rect(x.at(aimLow), top+14, x.at(aimHigh)-x.at(aimLow), height-top-14, `fill="`+green+`"`)
	s.xAxis(x, top+14, height, what, digits2)
	s.line(x.at(1), top+8, x.at(1), height, `stroke="`+ink+`" stroke-width="1.5"`)
	s.text(x.at(1), top+4, "middle", `font-size="11"`, "the baseline")
	for i, r := range ratios {
		y := top + 14 + row*(float64(i)+0.5)
		s.text(left-8, y+4, "end", "", r.Name)
		s.whisker(x.at(r.Low), x.at(r.High), y)
		s.add(`<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`, x.at(r.Value), y, blue)
		s.text(right+10, y+4, "start", `font-size="11"`, digits2(r.Value)+" · "+r.Note)
	}
	return s.page(title, height+bottom)
}
