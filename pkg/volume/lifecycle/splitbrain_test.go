// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// half is a Gluster volume of replica 2 as seen from one side of a cable that is cut: by a client that has one brick.
func half(t *testing.T, c *testcluster.Cluster, name string, brick int) *lifecycle.Volumes {
	t.Helper()
	m, err := c.MountSide(t.Context(), name, brick)
	volumes.Must(t, err)
	t.Cleanup(func() { volumes.Must(t, m.Close()) })
	s := volumes.Open(t, m.Path)
	s.Recent, s.Abandoned = 0, 0
	return s
}

// The cable between two servers is cut, and each side writes alone: GlusterFS has no answer then for what both have made.
func TestARecordInSplitBrainHidesNoOther(t *testing.T) {
	c, name, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
	volumes.Must(t, c.SetOption(name, "cluster.self-heal-daemon", "off"))
	before := volumes.Open(t, mountpoint)
	before.Recent, before.Abandoned = 0, 0
	volumes.Create(t, before, volumes.Spec("well"))
	volumes.Create(t, before, volumes.Spec("both")) // so that there is the directory of its record
	volumes.Must(t, before.Delete(volumes.Background, "both"))
	if n, err := before.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}

	for _, side := range []*lifecycle.Volumes{half(t, c, name, 0), half(t, c, name, 1)} {
		volumes.Create(t, side, volumes.Spec("both"))
		volumes.Create(t, side, volumes.Spec("fresh")) // each side makes the directory of its record
	}

	after, err := c.Mount(t.Context(), name)
	volumes.Must(t, err)
	t.Cleanup(func() { volumes.Must(t, after.Close()) })
	s := volumes.Open(t, after.Path)
	s.Recent, s.Abandoned = 0, 0
	page, err := s.List("", 100)
	volumes.Must(t, err)
	var ids []string
	for _, r := range page.Records {
		ids = append(ids, r.ID)
	}
	if !slices.Contains(ids, "well") || slices.Contains(ids, "both") {
		t.Errorf("the list has %q", ids)
	}
	volumes.Wants(t, page.Damaged, volume.ErrSplitBrain, "volumes/"+volumes.ShardOf("both")+"/both.json", "volumes/"+volumes.ShardOf("fresh"), "heal "+volumes.GV0.Name+" info split-brain")
	_, err = s.Get("both")
	volumes.Wants(t, err, volume.ErrSplitBrain)
	_, err = volumes.Checker(s).Check(volumes.Background)
	volumes.Wants(t, err, volume.ErrSplitBrain, "/"+volumes.ShardOf("fresh")+": input/output error", "heal "+volumes.GV0.Name+" info split-brain")
}
