// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A claim that was moved aside and is another's has its name again before anything is forced to disk: as long as it has
// not, a third may claim the path.
func TestAClaimThatGoesBackWaitsForNoDisk(t *testing.T) {
	alone, err := permits.New(1, func() []gluster.Volume { return []gluster.Volume{volumes.GV0} }).Acquire(t.Context(), volumes.GV0)
	volumes.Must(t, err)
	for name, test := range map[string]struct {
		permit  *permits.Permit
		options testcluster.VolumeOptions
	}{"beside the force": {}, "with one permit": {permit: alone}, "distributed": {options: testcluster.VolumeOptions{Subvolumes: 2}}} {
		t.Run(name, func(t *testing.T) {
			_, _, mountpoint := volumes.NewGlusterVolume(t, test.options)
			other := volumes.Open(t, mountpoint)
			r := volumes.Create(t, other, volumes.Spec("vol"))
			v, err := owndir.OpenView(volumes.GV0, mountpoint)
			volumes.Must(t, err)
			defer v.Close()
			isBack := make(chan struct{})
			s := store.New(v, store.NewMemory(func(*safepath.Dir) error {
				select {
				case <-isBack:
					return nil
				case <-time.After(10 * time.Second):
					return errors.New("the claim is still aside")
				}
			}), test.permit)
			s.Step = func(point string) {
				if point == "path: claim put back" {
					close(isBack)
				}
			}
			volumes.Must(t, s.ReleaseWithCommit("vol", volume.IsOfVolume("another's")))
			volumes.Must(t, s.Commit())
			if held, err := other.HolderOf("vol"); err != nil || held.Stamp != r.Stamp() {
				t.Errorf("it is held by %q, %v", held, err)
			}
			rival := volume.PathClaim{Stamp: volume.StampOf("rival", volume.Now()), Path: "vol"}
			if held, err := other.ClaimPath(rival); !errors.Is(err, fs.ErrExist) || held.Stamp != r.Stamp() {
				t.Errorf("another claims it, held by %q, %v", held, err)
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
			if left := volumes.FirstNames(t, mountpoint); len(left) > 0 {
				t.Errorf("left of claims is %q", left)
			}
		})
	}
}
