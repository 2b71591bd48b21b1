// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package monitoring

import (
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"math"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// picture is where TestEveryQueryHasAnAnswer draws the dashboard, by its own queries, after some minutes of use: docs/monitoring.md
// has it. Grafana draws it in its own way.
var (
	picture     = flag.String("picture", "", "draw the dashboard there, as SVG")
	pictureTime = flag.Duration("picture.time", 3*time.Minute, "after so long")
)

// series is one line of a panel.
type series struct {
	name   string
	points [][2]float64 // seconds since the start, value
}

// history returns the series of a panel from a time on.
func (p prometheus) history(t *testing.T, of panel, from time.Time) (all []series) {
	t.Helper()
	for _, target := range of.Targets {
		var data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]json.RawMessage
			}
		}
		err := p.get("query_range", url.Values{
			"query": {target.Expr}, "start": {stamp(from)}, "end": {stamp(time.Now())}, "step": {"2s"},
		}, &data)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range data.Result {
			s := series{name: legend(target.LegendFormat, r.Metric)}
			for _, v := range r.Values {
				at, _ := strconv.ParseFloat(string(v[0]), 64)
				value, _ := strconv.ParseFloat(strings.Trim(string(v[1]), `"`), 64)
				if !math.IsNaN(value) {
					s.points = append(s.points, [2]float64{at - float64(from.Unix()), value})
				}
			}
			all = append(all, s)
		}
	}
	return all
}

func stamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

var label = regexp.MustCompile(`{{(\w+)}}`)

func legend(format string, labels map[string]string) string {
	return label.ReplaceAllStringFunc(format, func(name string) string { return labels[label.FindStringSubmatch(name)[1]] })
}

// The picture, in pixels.
const (
	columns                 = 4
	panelWidth, panelHeight = 340, 230
	plotLeft, plotTop       = 52, 30
	plotWidth, plotHeight   = 276, 120
	legends                 = 5
	legendHeight            = 13
)

var colours = []string{"#2f7ed8", "#d9822b", "#3d9970", "#c0392b", "#8e44ad", "#7f8c8d", "#16a085", "#b8860b"}

// draw draws all panels since a time.
func draw(t *testing.T, p prometheus, from time.Time) {
	t.Helper()
	all := panels(t)
	rows := (len(all) + columns - 1) / columns
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="10">`+"\n"+
		`<rect width="100%%" height="100%%" fill="#f4f5f7"/>`+"\n", columns*panelWidth, rows*panelHeight)
	span := time.Since(from).Seconds()
	for i, of := range all {
		fmt.Fprintf(&svg, `<g transform="translate(%d,%d)">`+"\n", i%columns*panelWidth, i/columns*panelHeight)
		drawPanel(&svg, of, p.history(t, of, from), span)
		svg.WriteString("</g>\n")
	}
	svg.WriteString("</svg>\n")
	if err := os.WriteFile(*picture, []byte(svg.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func drawPanel(svg *strings.Builder, of panel, lines []series, span float64) {
	top := 0.0
	for _, s := range lines {
		for _, point := range s.points {
			top = max(top, point[1])
		}
	}
	if top == 0 {
		top = 1
	}
	fmt.Fprintf(svg, `<rect x="3" y="3" width="%d" height="%d" fill="white" stroke="#dcdfe3"/><text x="10" y="19" font-size="12" font-weight="bold">%s</text>`+"\n",
		panelWidth-6, panelHeight-6, html.EscapeString(of.Title))
	for _, part := range []float64{0, .5, 1} {
		y := plotTop + plotHeight*(1-part)
		fmt.Fprintf(svg, `<path d="M%d %.1fh%d" stroke="#e4e7eb"/><text x="%d" y="%.1f" text-anchor="end" fill="#667">%s</text>`+"\n",
			plotLeft, y, plotWidth, plotLeft-4, y+3, html.EscapeString(inUnit(top*part, of.FieldConfig.Defaults.Unit)))
	}
	for i, s := range lines {
		colour := colours[i%len(colours)]
		var path strings.Builder
		for j, point := range s.points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], plotLeft+plotWidth*point[0]/span, plotTop+plotHeight*(1-point[1]/top))
		}
		fmt.Fprintf(svg, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", path.String(), colour)
		if i == legends-1 && len(lines) > legends {
			s.name, colour = fmt.Sprintf("and %d more", len(lines)-i), "#667"
		}
		if i < legends {
			fmt.Fprintf(svg, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", plotLeft, plotTop+plotHeight+14+i*legendHeight, colour, html.EscapeString(s.name))
		}
	}
}

// inUnit writes a value as Grafana does.
func inUnit(value float64, unit string) string {
	switch {
	case unit == "bytes" && value >= 1<<30:
		return fmt.Sprintf("%.3g GiB", value/(1<<30))
	case unit == "bytes" && value >= 1<<20:
		return fmt.Sprintf("%.3g MiB", value/(1<<20))
	case unit == "percentunit":
		return fmt.Sprintf("%.3g%%", 100*value)
	case unit == "s" && value > 0 && value < 1:
		return fmt.Sprintf("%.3g ms", 1000*value)
	case unit == "s":
		return fmt.Sprintf("%.3g s", value)
	}
	return fmt.Sprintf("%.3g", value)
}
