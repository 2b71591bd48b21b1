// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime/debug"
	"slices"
	"testing"
)

// TestTheDriverHasNoClientOfKubernetes: the API is for kubectl-glusterfs, which is in the same module. Here it would
// cost tens of megabytes on a Pi, and nodes have no rights to it anyway.
func TestTheDriverHasNoClientOfKubernetes(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Fatal("this binary does not know what it is made of")
	}
	for _, m := range info.Deps {
		if slices.Contains([]string{"k8s.io/client-go", "k8s.io/cli-runtime", "k8s.io/api", "k8s.io/apimachinery"}, m.Path) {
			t.Errorf("the driver is linked with %s", m.Path)
		}
	}
}
