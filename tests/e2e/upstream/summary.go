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

// summarize reads the reports of ginkgo's runs. Each holds every spec there is, also those that were not asked for.
func summarize(reports ...[]byte) (*summary, error) {
	s := &summary{passed: map[string]int{}, skipped: map[string]int{}}
	specs := map[string]spec{} // of the groups, by name, as they ended in the run that was asked for them
	for _, report := range reports {
		var suites []struct{ SpecReports []spec }
		if err := json.Unmarshal(report, &suites); err != nil {
			return nil, fmt.Errorf("ginkgo's report: %w", err)
		}
		for _, suite := range suites {
			for _, spec := range suite.SpecReports {
				_, known := specs[spec.name()]
				switch {
				case spec.group() == "":
					s.add(spec) // what is not a spec may fail, too, as the preparation
				case !known || !spec.skipped() || spec.Failure.Message != "":
					specs[spec.name()] = spec
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		s.add(specs[name])
	}
	return s, nil
}

func (s *summary) add(spec spec) {
	group := spec.group()
	if group != "" {
		s.total++
	}
	switch {
	case spec.State == "passed":
		if group != "" {
			s.passed[group]++
			s.longest = max(s.longest, spec.RunTime)
		}
	case spec.skipped():
		if group != "" {
			s.skipped[spec.reason()]++
		}
	default:
		s.failed++
		s.failures = append(s.failures, fmt.Sprintf("[%s] %s %s", spec.State, spec.LeafNodeType, spec.name()))
	}
}

func (s spec) name() string {
	return strings.Join(append(s.ContainerHierarchyTexts, s.LeafNodeText), " ")
}

// group is which of the groups it is of, or "".
func (s spec) group() string {
	found := ofAGroup.FindStringSubmatch(s.name())
	if found == nil || s.LeafNodeType != "It" {
		return ""
	}
	return found[1]
}

func (s spec) skipped() bool { return s.State == "skipped" || s.State == "pending" }

// reason is why a spec of the groups did not run.
func (s spec) reason() string {
	if s.Failure.Message != "" {
		return s.Failure.Message
	}
	if strings.Contains(s.name(), leftOut) {
		return "left out: its programs cannot be built from the Go module proxy"
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
