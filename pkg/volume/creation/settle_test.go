// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package creation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A claim that a kill has left moved aside goes back in the first round, since another may claim the path; one that
// nobody needs waits until that is sure.
func TestAClaimThatWasMovedAsideGoesBackAtOnce(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	r := volumes.Create(t, s, volumes.Spec("vol"))
	claim := filepath.Join(mountpoint, volumes.ClaimFile("vol"))
	unneeded := filepath.Join(mountpoint, volumes.ClaimFile("gone")) + store.AsideSuffix + "1"
	volumes.Must(t, os.Rename(claim, claim+store.AsideSuffix+"1"), os.MkdirAll(filepath.Dir(unneeded), 0o700),
		os.Symlink(volume.PathClaim{Stamp: volume.StampOf("gone", volume.Now()), Path: "gone"}.String(), unneeded))
	_, err := s.Creations.SettlePaths(nil)
	volumes.Must(t, err)
	if held, err := s.HolderOf("vol"); err != nil || held.Stamp != r.Stamp() {
		t.Errorf("the path is held by %q, %v", held, err)
	}
	if _, err := os.Lstat(unneeded); err != nil {
		t.Error(err)
	}
	s.Abandoned = 0
	_, err = s.Creations.SettlePaths(nil)
	volumes.Must(t, err)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}
