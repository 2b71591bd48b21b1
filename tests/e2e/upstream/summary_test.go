// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const reportOfSix = `[{"SpecReports": [
  {"LeafNodeType": "SynchronizedBeforeSuite", "State": "passed"},
  {"LeafNodeType": "It", "LeafNodeText": "a pod", "State": "skipped"},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] volumes"], "LeafNodeType": "It", "LeafNodeText": "store", "State": "passed", "RunTime": 2000000000},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] subPath"], "LeafNodeType": "It", "LeafNodeText": "kill [Disruptive]", "State": "skipped"},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] provisioning"], "LeafNodeType": "It", "LeafNodeText": "clone", "State": "skipped", "Failure": {"Message": "no clones"}},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] ephemeral"], "LeafNodeType": "It", "LeafNodeText": "two", "State": "timedout"}
]}]`

// reportAlone is of the run that follows, in which the specs of the first are not asked for.
const reportAlone = `[{"SpecReports": [
  {"LeafNodeType": "SynchronizedBeforeSuite", "State": "passed"},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] volumes"], "LeafNodeType": "It", "LeafNodeText": "store", "State": "skipped"},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] subPath"], "LeafNodeType": "It", "LeafNodeText": "kill [Disruptive]", "State": "passed"},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] provisioning"], "LeafNodeType": "It", "LeafNodeText": "clone", "State": "skipped"},
  {"ContainerHierarchyTexts": ["External Storage [Driver: d]", "[Testpattern: p] ephemeral"], "LeafNodeType": "It", "LeafNodeText": "two", "State": "skipped"}
]}]`

func TestASummaryCountsEverySpecOfTheGroups(t *testing.T) {
	s, err := summarize([]byte(reportOfSix))
	if err != nil {
		t.Fatal(err)
	}
	if s.total != 4 || !maps.Equal(s.passed, map[string]int{"volumes": 1}) || s.failed != 1 || s.longest != 2*time.Second {
		t.Errorf("%+v", s)
	}
	if want := map[string]int{"no clones": 1, "not asked for, or interrupted": 1}; !maps.Equal(s.skipped, want) {
		t.Errorf("skipped %v, want %v", s.skipped, want)
	}
	var printed bytes.Buffer
	s.print(&printed)
	for _, want := range []string{"Of 4 specs in the groups: 1 passed, 1 failed, 2 skipped.", "1 skipped: no clones", "FAILED [timedout] It External Storage"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("%q is not in %s", want, printed.String())
		}
	}
}

func TestASpecEndedAsInTheRunThatWasAskedForIt(t *testing.T) {
	for _, reports := range [][][]byte{{[]byte(reportOfSix), []byte(reportAlone)}, {[]byte(reportAlone), []byte(reportOfSix)}} {
		s, err := summarize(reports...)
		if err != nil {
			t.Fatal(err)
		}
		if s.total != 4 || !maps.Equal(s.passed, map[string]int{"volumes": 1, "subPath": 1}) || s.failed != 1 || !maps.Equal(s.skipped, map[string]int{"no clones": 1}) {
			t.Errorf("%+v", s)
		}
	}
}

// Every spec is of one of the runs, and what may stop a kubelet is never of the first.
func TestEverySpecIsOfOneRun(t *testing.T) {
	const prefix = "External Storage [Driver: d] [Testpattern: p] "
	for spec, want := range map[string]string{
		prefix + "volumes should store":                            "together",
		prefix + "multiVolume [Slow] should access two":            "together",
		prefix + "disruptive [Disruptive] [LinuxOnly] restart":     "alone",
		prefix + "subPath should unmount [Disruptive] [Slow]":      "alone",
		prefix + "provisioning [Serial] should fill":               "alone",
		prefix + "topology should":                                 "",
		"[sig-node] Pods volumes should be restarted [Disruptive]": "",
	} {
		var got string
		for _, r := range runs {
			if regexp.MustCompile(r.focus).MatchString(spec) && !regexp.MustCompile(r.skip).MatchString(spec) {
				got += r.name
			}
		}
		if got != want {
			t.Errorf("%s is of run %q, want %q", spec, got, want)
		}
	}
}

func TestAGroupOfWhichNothingPassedIsIdle(t *testing.T) {
	s, err := summarize([]byte(reportOfSix))
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(slices.Clone(groups), func(group string) bool { return group == "volumes" })
	if got := s.idle(); !slices.Equal(got, want) {
		t.Errorf("idle: %v, want %v", got, want)
	}
}

func TestAPreparationThatFailsCounts(t *testing.T) {
	s, err := summarize([]byte(`[{"SpecReports": [{"LeafNodeType": "SynchronizedBeforeSuite", "State": "failed"}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	if s.failed != 1 || s.total != 0 {
		t.Errorf("%+v", s)
	}
}
