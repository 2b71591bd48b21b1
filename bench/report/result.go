// SPDX-License-Identifier: Apache-2.0

// Package report keeps what the benchmarks measured, as JSON, and makes the tables and
// charts of docs/performance.md of it.
package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
)

// Result is what one scenario measured in one run.
type Result struct {
	Scenario string   `json:"scenario"`
	Title    string   `json:"title"`
	Order    int      `json:"order"` // of its section on the page
	Run      Run      `json:"run"`
	Figures  []Figure `json:"figures,omitempty"`
	Curves   []Curve  `json:"curves,omitempty"`
	Counts   []Count  `json:"counts,omitempty"`
}

// Run says where and when the figures come from.
type Run struct {
	Date    string `json:"date"` // ISO 8601
	Commit  string `json:"commit"`
	Machine string `json:"machine"` // processor, cores, memory
	Kernel  string `json:"kernel"`
	Gluster string `json:"glusterfs"`
	Go      string `json:"go"`
	Size    string `json:"size"`
	Rounds  int    `json:"rounds"`
	// RoundTrip is how long a request and its answer were on the wire to the servers, in seconds; 0 on loopback.
	RoundTrip float64 `json:"roundTrip,omitempty"`
	Seconds   int     `json:"seconds"` // that the scenario took
}

// wire is the end of a result's name: "-1ms", or nothing on loopback.
func (r Run) wire() string {
	if r.RoundTrip == 0 {
		return ""
	}
	return "-" + r.roundTrip().String()
}

func (r Run) roundTrip() time.Duration {
	return time.Duration(r.RoundTrip * float64(time.Second)).Round(time.Microsecond)
}

// Measure is what one contender achieved: the median of all samples, and how low and how high
// the medians of single rounds are.
type Measure struct {
	Name    string     `json:"name"`
	Unit    chart.Unit `json:"unit"`
	Median  float64    `json:"median"`
	Low     float64    `json:"low"`
	High    float64    `json:"high"`
	Samples int        `json:"samples"`
	// Processors is how many were busy meanwhile; 0 where that was not measured.
	Processors float64 `json:"processors,omitempty"`
}

// Figure compares the driver with one baseline.
type Figure struct {
	What     string  `json:"what"`
	Driver   Measure `json:"driver"`
	Baseline Measure `json:"baseline"`
	// Fair says why this is the baseline.
	Fair string `json:"fair"`
	// Ratio is that of the medians, Low and High say how low and how high it is in single
	// rounds. Driver by baseline, or the other way round where Inverse is set ("20 times as
	// fast").
	Ratio   float64 `json:"ratio"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Inverse bool    `json:"inverse"`
	Aim     Aim     `json:"aim"`
}

// Aim is where a ratio should be. 0 is no bound; both 0 is no aim.
type Aim struct {
	AtLeast float64 `json:"atLeast,omitempty"`
	AtMost  float64 `json:"atMost,omitempty"`
}

// String is for tables.
func (a Aim) String() string {
	switch {
	case a == (Aim{}):
		return "shown"
	case a.AtLeast == 0:
		return "≤ " + chart.Number(a.AtMost) + "×"
	case a.AtMost == 0:
		return "≥ " + chart.Number(a.AtLeast) + "×"
	}
	return fmt.Sprintf("%.2f–%.2f", a.AtLeast, a.AtMost)
}

func (a Aim) holds(ratio float64) bool {
	return (a.AtLeast == 0 || ratio >= a.AtLeast) && (a.AtMost == 0 || ratio <= a.AtMost)
}

// Verdict says whether the aim is met: "yes", "no", or "within the spread" where a round
// or more met it. A benchmark never fails by it.
func (f Figure) Verdict() string {
	switch {
	case f.Aim == (Aim{}):
		return "–"
	case f.Aim.holds(f.Ratio):
		return "yes"
	case f.Aim.holds(f.Low) || f.Aim.holds(f.High) || f.Low < f.Aim.AtLeast && f.Aim.AtMost > 0 && f.High > f.Aim.AtMost:
		return "within the spread"
	}
	return "**no**"
}

// Curve is one or more measures over a number of things.
type Curve struct {
	Title  string       `json:"title"`
	Name   string       `json:"name"` // of its file
	Things string       `json:"things"`
	What   string       `json:"what"`
	Unit   chart.Unit   `json:"unit"`
	Lines  []chart.Line `json:"lines"`
}

// Count is the requests to bricks that one operation costs.
type Count struct {
	Operation string         `json:"operation"`
	PerCall   float64        `json:"perCall"` // all bricks together
	Kinds     map[string]int `json:"kinds"`   // of all calls
	Calls     int            `json:"calls"`
	Driver    bool           `json:"driver"`
}

// Save writes the result to <dir>/<scenario>.json, or <scenario>-1ms.json where the round trip was that.
func (r Result) Save(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, r.Scenario+r.Run.wire()+".json"), string(data)+"\n")
}

// Load reads all results in dir, in the order of their sections.
func Load(dir string) ([]Result, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var r Result
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, errors.New("no results in " + dir)
	}
	slices.SortFunc(results, func(a, b Result) int {
		if a.Order != b.Order {
			return a.Order - b.Order
		}
		return cmp.Or(strings.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Run.RoundTrip, b.Run.RoundTrip))
	})
	return results, nil
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
