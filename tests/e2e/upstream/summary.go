// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// summary is how the specs of the groups ended.
type summary struct {
	total    int            // of the groups
	passed   map[string]int // how many, by the group
	failed   int
	failures []string
	skipped  map[string]int // how many, by the reason
	longest  time.Duration
}

// spec is what is looked at of ginkgo's report of one.
type spec struct {
	ContainerHierarchyTexts []string
	LeafNodeType            string
	LeafNodeText            string
	State                   string
	RunTime                 time.Duration
	Failure                 struct{ Message string }
}

var ofAGroup = regexp.MustCompile(focus)

// summarize reads a report of ginkgo. It holds every spec there is, also those that were not asked for.
func summarize(report []byte) (*summary, error) {
	var suites []struct{ SpecReports []spec }
	if err := json.Unmarshal(report, &suites); err != nil {
		return nil, fmt.Errorf("ginkgo's report: %w", err)
	}
	s := &summary{passed: map[string]int{}, skipped: map[string]int{}}
	for _, suite := range suites {
		for _, spec := range suite.SpecReports {
			s.add(spec)
		}
	}
	return s, nil
}

func (s *summary) add(spec spec) {
	name := strings.Join(append(spec.ContainerHierarchyTexts, spec.LeafNodeText), " ")
	group := ofAGroup.FindStringSubmatch(name)
	if spec.LeafNodeType == "It" && group != nil {
		s.total++
	}
	switch spec.State {
	case "passed":
		if spec.LeafNodeType == "It" && group != nil {
			s.passed[group[1]]++
			s.longest = max(s.longest, spec.RunTime)
		}
	case "skipped", "pending":
		if group != nil {
			s.skipped[reason(spec, name)]++
		}
	default: // also what is not a spec may fail, as the preparation
		s.failed++
		s.failures = append(s.failures, fmt.Sprintf("[%s] %s %s", spec.State, spec.LeafNodeType, name))
	}
}

// reason is why a spec of the groups did not run.
func reason(spec spec, name string) string {
	if spec.Failure.Message != "" {
		return spec.Failure.Message
	}
	for _, kind := range leftOut {
		if strings.Contains(name, kind) {
			return "left out: " + kind
		}
	}
	return "not asked for, or interrupted"
}

// idle are the groups of which no spec has passed.
func (s *summary) idle() []string {
	var idle []string
	for _, group := range groups {
		if s.passed[group] == 0 {
			idle = append(idle, group)
		}
	}
	return idle
}

func (s *summary) print(w io.Writer) {
	fmt.Fprintf(w, "\nOf %d specs in the groups: %d passed, %d failed, %d skipped. The longest took %s.\n",
		s.total, sum(s.passed), s.failed, sum(s.skipped), s.longest.Round(time.Second))
	for _, group := range groups {
		fmt.Fprintf(w, "%5d passed: %s\n", s.passed[group], group)
	}
	for _, why := range slices.Sorted(maps.Keys(s.skipped)) {
		fmt.Fprintf(w, "%5d skipped: %s\n", s.skipped[why], why)
	}
	for _, failure := range s.failures {
		fmt.Fprintf(w, "FAILED %s\n", failure)
	}
}

func sum(counts map[string]int) int {
	total := 0
	for _, count := range counts {
		total += count
	}
	return total
}
