// SPDX-License-Identifier: Apache-2.0

package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
)

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name             string
		ratio, low, high float64
		aim              Aim
		want             string
	}{
		{"below the bound is met", 3, 2, 5, Aim{AtMost: 4}, "yes"},
		{"above it in every round is not", 5, 4.5, 6, Aim{AtMost: 4}, "**no**"},
		{"above it but for a round is within the spread", 5, 3.9, 6, Aim{AtMost: 4}, "within the spread"},
		{"far above the lower bound is met", 30, 25, 40, Aim{AtLeast: 20}, "yes"},
		{"a spread around the band is within the spread", 1.1, 0.8, 1.2, Aim{AtLeast: 0.97, AtMost: 1.03}, "within the spread"},
		{"where there is no aim there is no verdict", 7, 7, 7, Aim{}, "–"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := Figure{Ratio: test.ratio, Low: test.low, High: test.high, Aim: test.aim}
			if got := f.Verdict(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestPageReplacesOnlyWhatIsBetweenItsMarkers(t *testing.T) {
	dir := t.TempDir()
	page, results := filepath.Join(dir, "performance.md"), filepath.Join(dir, "results")
	if err := os.WriteFile(page, []byte("before\n"+begin+"\nold\n"+end+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	measure := func(name string, v float64) Measure {
		return Measure{Name: name, Unit: chart.Seconds, Median: v, Low: v, High: v, Samples: 3}
	}
	busy := measure("CreateVolume", 0.04)
	busy.Processors = 1.234
	want := Result{Scenario: "create", Title: "CreateVolume", Figures: []Figure{{
		What: "alone", Driver: busy, Baseline: measure("mkdir", 0.01), Fair: "the least", Ratio: 4, Low: 3, High: 5, Aim: Aim{AtMost: 4},
	}}}
	if err := want.Save(results); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(results)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time changes nothing
		if err := Page(page, loaded); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !strings.HasPrefix(text, "before\n"+begin) || !strings.HasSuffix(text, end+"\nafter\n") || strings.Contains(text, "old") {
		t.Errorf("the page is %q", text)
	}
	if row := "| alone | 40 ms, 1.23 processors busy | mkdir | 10 ms | 4.00× (3.00–5.00) | ≤ 4× | yes |"; strings.Count(text, row) != 1 {
		t.Errorf("the page lacks %q: %s", row, text)
	}
	if _, err := os.Stat(filepath.Join(dir, "performance/create.svg")); err != nil {
		t.Error(err)
	}
}

func TestAPageWithoutMarkersIsLeftAlone(t *testing.T) {
	page := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(page, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Page(page, nil); err == nil {
		t.Error("a page without markers was taken")
	}
}

func TestWhatWasMeasuredOverAWireIsShownBesideLoopback(t *testing.T) {
	result := func(roundTrip, ratio float64, what string) Result {
		return Result{
			Scenario: "delete", Title: "DeleteVolume", Run: Run{RoundTrip: roundTrip},
			Figures: []Figure{{
				What: what, Driver: Measure{Name: "DeleteVolume", Unit: chart.Seconds, Median: 0.01}, Baseline: Measure{Name: "rm -rf", Unit: chart.Seconds, Median: 1},
				Ratio: ratio, Inverse: true,
			}},
		}
	}
	dir := t.TempDir()
	page, results := filepath.Join(dir, "performance.md"), filepath.Join(dir, "results")
	if err := os.WriteFile(page, []byte(begin+"\n"+end), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Result{result(0, 100, "of 1,000 files"), result(0.005, 300, "of 500 files"), result(0.001, 200, "of 1,000 files")} {
		if err := r.Save(results); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := Load(results)
	if err == nil {
		err = Page(page, loaded)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| what | baseline | loopback | 1ms | 5ms |\n",
		"| of 1,000 files | rm -rf | 100× as fast | 200× as fast: 10 ms, 1 s | 300× as fast: 10 ms, 1 s |\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if n := strings.Count(string(text), "### DeleteVolume"); n != 1 {
		t.Errorf("there are %d sections", n)
	}
}
