// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Whichever of the two the next process takes, what is mounted from the other is repaired.
func TestAReplacementWhoseProcessIsKilledLeavesNoMountBehind(t *testing.T) {
	dir, clusters := t.TempDir(), clustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	killed, err := NewHost(dir, clusters)
	do(t, err)
	c := ensure(t, killed, gv0)
	target := bind(t, c, "replacement")
	now, err := clusters.Current()
	do(t, err)
	cluster, err := now.Find(gv0)
	do(t, err)
	lock, err := c.slot.dir.Lock(t.Context())
	do(t, err)
	by, err := c.slot.launch(t.Context(), c.slot.newStart(cluster), lock)
	do(t, err)
	do(t, by.MakeUsable()) // and no more of what Replace does
	lock.Unlock()
	killed.Close()
	by.Prober.Close()

	next := hostIn(t, dir, clusters)
	kept, err := next.KeptMounts()
	do(t, err)
	if found := next.Running(); len(found) != 1 || len(kept) != 1 || kept[0].Start.StartedAt() == found[0].Mountpoint() {
		t.Errorf("found is %v, kept are %+v", found, kept)
	}
	do(t, mount.Detach(target))
}
