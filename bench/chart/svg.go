// SPDX-License-Identifier: Apache-2.0

// Package chart draws the three kinds of charts that the benchmarks need, as SVG that reads
// on its own: bars beside their baselines, ratios around 1, and curves.
package chart

import (
	"fmt"
	"html"
	"math"
	"strings"
)

const (
	width  = 820.0
	left   = 290.0 // of the plot: names are before it
	right  = 560.0 // of the plot: notes are behind it
	top    = 44.0
	bottom = 46.0

	blue   = "#1f6feb" // the driver
	gray   = "#9aa4af" // what it is compared with
	ink    = "#24292f"
	faint  = "#d8dee4"
	subtle = "#57606a"
	green  = "#dafbe1"
)

// svg is a picture being drawn.
type svg struct{ strings.Builder }

func (s *svg) add(format string, args ...any) { fmt.Fprintf(&s.Builder, format+"\n", args...) }

func (s *svg) line(x1, y1, x2, y2 float64, style string) {
	s.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`, x1, y1, x2, y2, style)
}

func (s *svg) rect(x, y, w, h float64, style string) {
	s.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s/>`, x, y, w, h, style)
}

// text writes at the baseline (x, y); anchor is start, middle or end.
func (s *svg) text(x, y float64, anchor, style, text string) {
	s.add(`<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`, x, y, anchor, style, html.EscapeString(text))
}

// whisker is the spread of a value on a horizontal line.
func (s *svg) whisker(x1, x2, y float64) {
	s.line(x1, y, x2, y, `stroke="`+ink+`"`)
	s.line(x1, y-3, x1, y+3, `stroke="`+ink+`"`)
	s.line(x2, y-3, x2, y+3, `stroke="`+ink+`"`)
}

// page wraps what was drawn. A white ground keeps it readable where the page is dark.
func (s *svg) page(title string, height float64) string {
	var p svg
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="DejaVu Sans, Verdana, sans-serif" font-size="12" fill="%s" role="img">`, width, height, width, height, ink)
	p.add(`<title>%s</title>`, html.EscapeString(title))
	p.rect(0, 0, width, height, `fill="#ffffff"`)
	p.text(16, 24, "start", `font-size="15" font-weight="bold"`, title)
	return p.String() + s.String() + "</svg>\n"
}

// scale maps values to pixels.
type scale struct {
	log       bool
	low, high float64 // values
	from, to  float64 // pixels
	ticks     []float64
}

// logScale spans the decades, times base, that hold all values.
func logScale(values []float64, base, from, to float64) scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			low, high = min(low, v/base), max(high, v/base)
		}
	}
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	if math.Log10(low)-first < 0.15 { // a bar needs a length
		first--
	}
	last = max(last, first+1)
	s := scale{log: true, low: base * math.Pow(10, first), high: base * math.Pow(10, last), from: from, to: to}
	for d := first; d <= last; d++ {
		s.ticks = append(s.ticks, base*math.Pow(10, d))
	}
	return s
}

// linearScale spans low to high with about five ticks that are round multiples of base.
func linearScale(low, high, base, from, to float64) scale {
	step := base * math.Pow(10, math.Floor(math.Log10((high-low)/base/2)))
	for (high-low)/step > 6 {
		if (high-low)/(2*step) <= 6 {
			step *= 2
		} else {
			step *= 5
		}
	}
	s := scale{low: math.Floor(low/step) * step, high: math.Ceil(high/step) * step, from: from, to: to}
	for i := 0.0; s.low+i*step <= s.high+step/2; i++ {
		s.ticks = append(s.ticks, s.low+i*step)
	}
	return s
}

func (s scale) at(v float64) float64 {
	v = min(max(v, s.low), s.high)
	part := (v - s.low) / (s.high - s.low)
	if s.log {
		part = math.Log10(v/s.low) / math.Log10(s.high/s.low)
	}
	return s.from + part*(s.to-s.from)
}

// xAxis draws the grid, the ticks and what the axis shows.
func (s *svg) xAxis(x scale, up, down float64, label string, format func(float64) string) {
	for _, tick := range x.ticks {
		s.line(x.at(tick), up, x.at(tick), down, `stroke="`+faint+`"`)
		s.text(x.at(tick), down+16, "middle", `font-size="11" fill="`+subtle+`"`, format(tick))
	}
	s.line(x.from, down, x.to, down, `stroke="`+subtle+`"`)
	s.text((x.from+x.to)/2, down+34, "middle", `font-size="11" fill="`+subtle+`"`, label)
}
