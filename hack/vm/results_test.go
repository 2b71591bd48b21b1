// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/hack/vm/protocol"
)

func TestWhatCountsAsPassed(t *testing.T) {
	const good = "=== RUN   TestA\n=== RUN   TestA/b\n--- PASS: TestA (0.10s)\n    --- PASS: TestA/b (0.00s)\nPASS\n"
	for name, c := range map[string]struct {
		reports []protocol.Report
		isTest  bool
		table   string // of the job
		isGood  bool
	}{
		"tests, with subtests":        {[]protocol.Report{{Output: good[:30]}, {Output: good[30:]}, {Ended: true}}, true, "pkg/a ok 2 0 0s", true},
		"a program":                   {[]protocol.Report{{Output: "all is well"}, {Ended: true}}, false, "pkg/a ok 0 0 0s", true},
		"specs of csi-sanity":         {[]protocol.Report{{Output: good + "Ran 40 of 91 Specs: 39 passed, 1 failed, 51 skipped"}, {Ended: true}}, true, "pkg/a ok 39 0 0s", true},
		"a test that fails":           {[]protocol.Report{{Output: good + "--- FAIL: TestC (0.00s)"}, {Ended: true, Error: "exit status 1"}}, true, "pkg/a FAILED 2 1 0s", false},
		"a test that was skipped":     {[]protocol.Report{{Output: good + "--- SKIP: TestC (0.00s)"}, {Ended: true}}, true, "pkg/a FAILED 2 1 0s", false},
		"no test at all":              {[]protocol.Report{{Output: "PASS"}, {Ended: true}}, true, "pkg/a FAILED 0 0 0s", false},
		"a leak after the last test":  {[]protocol.Report{{Output: good}, {Ended: true, Error: "exit status 1"}}, true, "pkg/a FAILED 2 0 0s", false},
		"a machine that ended before": {[]protocol.Report{{Output: good}}, true, "pkg/a FAILED 2 0 0s", false},
		"a job that was never begun":  {nil, true, "pkg/a FAILED 0 0 0s", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResults(t.TempDir())
			var sent strings.Builder
			for _, report := range append([]protocol.Report{{Kernel: "6.1"}}, c.reports...) {
				if report.Kernel == "" {
					report.Job = "pkg/a"
				}
				if err := json.NewEncoder(&sent).Encode(report); err != nil {
					t.Fatal(err)
				}
			}
			sent.WriteString(`{"done":true}`)
			if err := r.read(strings.NewReader(sent.String())); err != nil {
				t.Fatal(err)
			}
			var printed strings.Builder
			err := r.summary(&printed, []job{{name: "pkg/a", isTest: c.isTest}})
			if lines := strings.Join(strings.Fields(printed.String()), " "); !strings.Contains(lines, c.table) || (err == nil) != c.isGood {
				t.Errorf("got %v and\n%s", err, printed.String())
			}
		})
	}
}

func TestAMachineThatEndsBeforeItsJobs(t *testing.T) {
	for text, want := range map[string]string{
		`{"kernel":"6.1"}{"job":"a","ended":true}`: "ended before its jobs",
		`{"kernel":"6.1"}{"error":"no disk"}`:      "no disk",
		`{"kernel":"6.1"}{"job"`:                   "unexpected EOF",
	} {
		if err := newResults(t.TempDir()).read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
