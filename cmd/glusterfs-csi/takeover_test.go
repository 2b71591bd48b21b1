// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

// TestTakeOverRefusesWhatIsAliveOrUnknown: while the other's controller runs, which the command finds out before a lease would be
// over, and where nobody has ever had such a lease.
func TestTakeOverRefusesWhatIsAliveOrUnknown(t *testing.T) {
	production, test := newPlace(t), newPlace(t)
	ofProduction := production.serve("--kubernetes-id", "production")
	ofTest := test.serve("--kubernetes-id", "test")
	ids := map[string]csi.ControllerClient{create(t, ofTest, "pvc-2"): ofTest, create(t, ofProduction, "pvc-1"): ofProduction}
	defer func() { // what other tests find is to be their own
		for id, controller := range ids {
			remove(t, controller, id)
		}
		for _, e := range test.entries() {
			test.must("trash", "purge", e.Entry, "--yes")
		}
	}()
	for arg, want := range map[string]struct {
		code int
		says string
	}{
		"production": {1, "its controller runs"},
		"unknown":    {1, "--set controller.kubernetesID=unknown"},
		"test":       {2, "this is Kubernetes cluster test itself"},
		"-":          {2, "is no ID of a Kubernetes cluster"},
	} {
		stdout, stderr, code := test.run("volume", "take-over", arg)
		if code != want.code || stdout != "" || !strings.Contains(stderr, want.says) {
			t.Errorf("%s: exit code %d, %s%s", arg, code, stdout, stderr)
		}
	}
	matches(t, test.must("volume", "list"), `(?m)^pi/gv0/pvc-1 .* production$`)
}
