// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubelet"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/tests/documented"
)

var described = regexp.MustCompile(`fqName: "([^"]+)"`)

// metricNames are those that processes of every mode have.
func metricNames(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d, err := New(ctx, Options{
		Mode: All, Name: DefaultName, NodeID: "pi-worker1", Endpoint: "unix:///none/csi.sock",
		ClustersFile: "/none", StateDir: t.TempDir(), MaxOperations: permits.Default,
	})
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	d.host.Close()
	kubelet.Registration{Driver: DefaultName, KubeletDir: t.TempDir()}.Serve(ctx, d.metrics.registry)
	all := make(chan *prometheus.Desc)
	go func() { d.metrics.registry.Describe(all); close(all) }()
	var names []string
	for desc := range all {
		name := described.FindStringSubmatch(desc.String())[1]
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			names = append(names, name)
		}
	}
	return names
}

func TestEveryMetricIsDocumented(t *testing.T) {
	documented.CompareOn(t, "docs/monitoring.md", "All metrics", metricNames(t))
}

// TestMetricsAreNamedAsOpenMetricsWants: units are base units, and come last but for _total.
func TestMetricsAreNamedAsOpenMetricsWants(t *testing.T) {
	for _, name := range metricNames(t) {
		stem := strings.TrimSuffix(name, "_total")
		if strings.HasPrefix(name, "glusterfs_csi_") && regexp.MustCompile(`_(seconds|bytes|ratio)_|_(ms|kb|kib|mb|mib|percent|minutes)(_|$)`).MatchString(stem+"$") {
			t.Errorf("%s has a unit that is not a base unit, or in another place than the end", name)
		}
		if !regexp.MustCompile(`^(glusterfs_csi|grpc_server)_[a-z_]+$`).MatchString(name) {
			t.Errorf("%s is not one of this driver's names", name)
		}
	}
}

func TestRetriesAreCountedByReason(t *testing.T) {
	for _, test := range []struct {
		err    error
		reason string
	}{
		{fmt.Errorf("not now: %w", volume.ErrBusy), "busy"},
		{fmt.Errorf("%w: %w", volume.ErrBusy, gluster.ErrUnreachable), "unreachable"}, // the code is Aborted
		{fmt.Errorf("%w, %w", context.DeadlineExceeded, gluster.ErrNotConnected), "bricks"},
		{context.DeadlineExceeded, "timeout"},
		{volume.ErrNoSpace, "no space"},
		{status.Error(codes.Unavailable, "a dead client"), "other"},
		{volume.ErrNotFound, ""},
		{invalid("a parameter"), ""},
	} {
		if reason, isRetried := retryReason(test.err); reason != test.reason || isRetried != (test.reason != "") {
			t.Errorf("%v: %q, %t, want %q", test.err, reason, isRetried, test.reason)
		}
	}
	for _, e := range errorCodes {
		reason, isRetried := retryReason(e.kind)
		known := slices.ContainsFunc(retryReasons, func(r struct {
			kind   error
			reason string
		}) bool {
			return r.reason == reason
		})
		if isRetried && !known {
			t.Errorf("%v, after which callers try again, has no reason of its own: %q", e.kind, reason)
		}
	}
}
