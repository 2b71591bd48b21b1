// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package starts

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/cgroup"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// TestAClientMayEndWhileClientsComeToBeKeptApart is about clients that were found as the mounter began: they are watched before it knows
// whether it may keep clients apart. The race detector finds what is read and written without order, whenever either happens.
func TestAClientMayEndWhileClientsComeToBeKeptApart(t *testing.T) {
	root, err := statedir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := OpenApart(root)
	t.Cleanup(func() {
		if err := a.Remove(func() []int { return nil }); err != nil {
			t.Error(err)
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Sweep()
	}()
	if err := a.Keep(cgroup.Limits{}); err != nil {
		t.Error(err)
	}
	<-ended
	if !a.IsKept() {
		t.Error("clients are not kept apart")
	}
}
