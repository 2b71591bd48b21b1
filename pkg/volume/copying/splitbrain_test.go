// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copying_test

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// The cable between two servers is cut, and on either side a controller asks for a clone and begins to copy: GlusterFS has
// no answer then for their leases, nor for when it was asked for.
func TestACopyWhoseLeaseIsInSplitBrainIsCompleted(t *testing.T) {
	for name, isAskedBefore := range map[string]bool{"asked for before": true, "asked for on both sides alone": false} {
		t.Run(name, func(t *testing.T) {
			c, gv, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
			clones := func(s *lifecycle.Volumes) *copying.Copies {
				c := impatient(s.Store)
				c.Kind = volume.Clones
				return c
			}
			source := makeSource(t, mountpoint)
			before := volumes.Open(t, mountpoint)
			want := wanted()
			want.Kind = volume.Clones
			st, err := clones(before).Claim(want)
			volumes.Must(t, err)
			begin := func(s *lifecycle.Volumes) {
				volumes.StopAt(s, "copy: lease taken", func(s *lifecycle.Volumes) {
					_, err := clones(s).Run(volumes.Background, st, open(t, source), copying.Options{})
					t.Errorf("it was not cut short: %v", err)
				})
			}
			if isAskedBefore {
				volumes.Must(t, clones(before).Ask(st))
			} else {
				begin(before)
			}
			for brick := range 2 {
				m, err := c.MountSide(t.Context(), gv, brick)
				volumes.Must(t, err)
				t.Cleanup(func() { volumes.Must(t, m.Close()) })
				side := volumes.Open(t, m.Path)
				volumes.Must(t, clones(side).Ask(st))
				begin(side)
			}
			after, err := c.Mount(t.Context(), gv)
			volumes.Must(t, err)
			t.Cleanup(func() { volumes.Must(t, after.Close()) })
			s := clones(volumes.Open(t, after.Path))
			if err := s.Ask(st); err != nil {
				t.Errorf("asked for again: %v", err)
			}
			if asked, err := s.IsAskedFor(st); !asked || err != nil {
				t.Errorf("it was asked for this moment: %v, %v", asked, err)
			}
			_, err = s.Run(volumes.Background, st, open(t, source), copying.Options{})
			volumes.Must(t, err)
			isCopy(t, s, after.Path, source)
		})
	}
}
