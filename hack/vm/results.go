// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/hack/vm/protocol"
)

// results are what the jobs of a machine have come to.
type results struct {
	dir     string // of the jobs' output
	started time.Time
	kernel  string
	done    bool
	output  map[string]*strings.Builder
	ended   map[string]protocol.Report
}

func newResults(dir string) *results {
	return &results{dir: dir, started: time.Now(), output: map[string]*strings.Builder{}, ended: map[string]protocol.Report{}}
}

// take takes a report, and tells what is worth it at once.
func (r *results) take(report protocol.Report) error {
	switch {
	case report.Kernel != "":
		r.kernel = report.Kernel
		fmt.Printf("Linux %s runs after %s\n", r.kernel, since(r.started))
	case report.Done:
		r.done = true
	case report.Job == "":
		return errors.New(report.Error)
	case report.Ended:
		r.ended[report.Job] = report
		fmt.Printf("%s has ended after %s %s\n", report.Job, report.Took.Round(time.Second), report.Error)
	default:
		return r.save(report)
	}
	return nil
}

// save keeps what a job prints, also on disk, if the machine should end now.
func (r *results) save(report protocol.Report) error {
	how := os.O_APPEND
	if r.output[report.Job] == nil {
		r.output[report.Job] = new(strings.Builder)
		how = os.O_TRUNC
	}
	r.output[report.Job].WriteString(report.Output)
	file, err := os.OpenFile(r.log(report.Job), how|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(report.Output)
	return errors.Join(err, file.Close())
}

func (r *results) log(job string) string {
	return filepath.Join(r.dir, strings.ReplaceAll(job, "/", "-")+".log")
}

var (
	testEnded  = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)
	specsEnded = regexp.MustCompile(`Ran (\d+) of \d+ Specs: (\d+) passed, (\d+) failed`)
)

// counts are how many tests of a job's output, with subtests, or specs of csi-sanity have passed, and which tests have not.
func counts(output string) (passed int, failed []string) {
	for _, match := range testEnded.FindAllStringSubmatch(output, -1) {
		if match[1] == "PASS" {
			passed++
		} else {
			failed = append(failed, match[2]+" ("+match[1]+")")
		}
	}
	if match := specsEnded.FindStringSubmatch(output); match != nil {
		passed, _ = strconv.Atoi(match[2]) // digits
	}
	return passed, failed
}

// tally is one line of the table.
type tally struct {
	job    string
	passed int
	failed []string // names of tests
	took   time.Duration
	err    string
}

func (r *results) tally(j job) tally {
	report, ended := r.ended[j.name]
	t := tally{job: j.name, took: report.Took, err: report.Error}
	if r.output[j.name] != nil {
		t.passed, t.failed = counts(r.output[j.name].String())
	}
	switch {
	case !ended:
		t.err = "it has not ended"
	case t.err == "" && len(t.failed) > 0:
		t.err = "tests were left out"
	case t.err == "" && j.isTest && t.passed == 0:
		t.err = "it has run no test"
	}
	return t
}

func (t tally) result() string {
	if t.err != "" {
		return "FAILED"
	}
	return "ok"
}

// summary prints the table, and fails if a job has failed, has left out a test, or was not run.
func (r *results) summary(to io.Writer, jobs []job) error {
	fmt.Fprintf(to, "\nLinux %s:\n", r.kernel)
	table := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "WHAT\tRESULT\tPASSED\tFAILED\tTIME")
	var bad []string
	passed, failed := 0, 0
	for _, j := range jobs {
		t := r.tally(j)
		passed, failed = passed+t.passed, failed+len(t.failed)
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", t.job, t.result(), t.passed, len(t.failed), t.took.Round(time.Second))
		if t.err != "" {
			bad = append(bad, fmt.Sprintf("%s: %s %s (%s)", t.job, t.err, strings.Join(t.failed, ", "), r.log(t.job)))
		}
	}
	fmt.Fprintf(table, "in all\t\t%d\t%d\t%s\n", passed, failed, since(r.started))
	if err := table.Flush(); err != nil {
		return err
	}
	if len(bad) > 0 {
		return fmt.Errorf("failed on Linux %s:\n\t%s", r.kernel, strings.Join(bad, "\n\t"))
	}
	return nil
}

func since(start time.Time) time.Duration { return time.Since(start).Round(time.Second) }
