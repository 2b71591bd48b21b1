// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"maps"
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

func TestASummaryCountsEverySpecOfTheGroups(t *testing.T) {
	s, err := summarize([]byte(reportOfSix))
	if err != nil {
		t.Fatal(err)
	}
	if s.total != 4 || !maps.Equal(s.passed, map[string]int{"volumes": 1}) || s.failed != 1 || s.longest != 2*time.Second {
		t.Errorf("%+v", s)
	}
	if want := map[string]int{"no clones": 1, "left out: [Disruptive]": 1}; !maps.Equal(s.skipped, want) {
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
