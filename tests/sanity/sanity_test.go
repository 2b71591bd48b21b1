// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package sanity runs csi-sanity, the whole of it, against the real driver on a real gv0 of
// two servers, distributed over so many replica sets; or against a driver that was started by hand:
//
//	go test ./tests/sanity -args -subvolumes 2
//	SANITY_ENDPOINT=unix:///run/glusterfs-csi/csi.sock go test ./tests/sanity
package sanity

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

var subvolumes = flag.Int("subvolumes", 1, "replica sets of gv0; the suite runs once in a process, so not both")

// notAdvertised are the capabilities that the driver does not say it has, as the suite names
// them when it skips a spec for one. Any other reason to skip fails the test.
var notAdvertised = []string{
	"controllerpublishvolume", "controllerunpublishvolume", "controller publish, unpublishvolume",
	"nodeexpandvolume", "nodestagevolume", "nodeunstagevolume",
	"groupcontrollerservice", "controllergetvolumehealth", "controllerlistvolumehealth", "snapshot_accessibility_constraints",
}

func isCapability(reason string) bool {
	reason, supported := strings.CutSuffix(strings.ToLower(reason), " not supported")
	return supported && slices.ContainsFunc(notAdvertised, func(capability string) bool { return strings.Contains(reason, capability) })
}

func TestSanity(t *testing.T) {
	endpoint := os.Getenv("SANITY_ENDPOINT")
	if endpoint == "" {
		endpoint = testdriver.Serve(t, testcluster.Options{Subvolumes: *subvolumes}).Endpoint()
	}
	config := sanity.NewTestConfig()
	config.Address = endpoint
	config.TargetPath = filepath.Join(t.TempDir(), "target")
	config.StagingPath = filepath.Join(t.TempDir(), "staging")
	context := sanity.GinkgoTest(&config)
	defer context.Finalize()

	var report types.Report
	ginkgo.ReportAfterSuite("remember the report", func(r types.Report) { report = r })
	gomega.RegisterFailHandler(ginkgo.Fail)
	suite, reporter := ginkgo.GinkgoConfiguration()
	if len(suite.SkipStrings)+len(suite.FocusStrings)+len(suite.SkipFiles)+len(suite.FocusFiles) > 0 || suite.LabelFilter != "" {
		t.Fatal("the suite is to be run whole")
	}
	suite.RandomizeAllSpecs = false
	ginkgo.RunSpecs(t, "csi-sanity", suite, reporter)
	summarize(t, report)
}

// summarize prints what was run and what was not, and why.
func summarize(t *testing.T, report types.Report) {
	t.Helper()
	counts := map[types.SpecState]int{}
	for _, spec := range report.SpecReports {
		if spec.LeafNodeType != types.NodeTypeIt {
			continue
		}
		counts[spec.State]++
		switch spec.State {
		case types.SpecStateSkipped:
			t.Logf("skipped: %s: %s", spec.FullText(), spec.Failure.Message)
			if !isCapability(spec.Failure.Message) {
				t.Errorf("skipped for a reason that is no missing capability: %s", spec.Failure.Message)
			}
		case types.SpecStatePending:
			t.Logf("pending in csi-test itself: %s", spec.FullText())
		default:
		}
	}
	ran := counts[types.SpecStatePassed] + counts[types.SpecStateFailed]
	t.Logf("Ran %d of %d Specs: %d passed, %d failed, %d skipped for a capability not advertised, %d pending",
		ran, report.PreRunStats.TotalSpecs, counts[types.SpecStatePassed], counts[types.SpecStateFailed], counts[types.SpecStateSkipped], counts[types.SpecStatePending])
	if ran == 0 || counts[types.SpecStatePending] > 1 {
		t.Error("that is not the whole suite")
	}
}
