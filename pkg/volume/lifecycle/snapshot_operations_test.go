// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/snapshot"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// takeSnapshot makes the snapshot snap of the volume vol, or goes on with it, until it is complete.
func takeSnapshot(s *lifecycle.Volumes) error {
	r, err := s.Get("vol")
	if err != nil {
		return err
	}
	snapshots := snapshot.New(s.Store)
	snapshots.Lasts = 0 // who has copied before is dead
	st, err := snapshots.Claim("snap", snapshot.Of{ID: volume.ID{Volume: volumes.GV0, ID: "vol"}.String(), Stamp: r.Stamp()})
	if err != nil {
		return err
	}
	from, err := s.Root.Open(r.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = snapshots.Run(volumes.Background, st, from, copying.Options{Hash: true})
	return err
}

func deleteSnapshot(s *lifecycle.Volumes) error { return snapshot.New(s.Store).Delete("snap") }

// judgeSnapshots fails the test unless every snapshot that is said to be complete is whole, byte by byte. What was
// deleted may be removed by now, or not yet.
func judgeSnapshots(t *testing.T, s *lifecycle.Volumes, found []string) (others []string) {
	t.Helper()
	for _, what := range found {
		if id, isSnapshot := strings.CutPrefix(what, "complete in snapshots: "); isSnapshot {
			report, err := snapshot.New(s.Store).Verify(volumes.Background, id, true)
			if err != nil || !report.Whole() || report.Hashed != 5 {
				t.Errorf("snapshot %s: %+v, %v", id, report, err)
			}
		}
	}
	return slices.DeleteFunc(found, func(what string) bool { return strings.HasPrefix(what, "removing snapshots.snap.") })
}
