// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package owndir_test

import (
	"os"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// One server loses its power when a path has just been claimed that another attempt had held: it has what was there at
// the last force.
func TestTheClaimOfAPathThatWasGivenUpIsNotInSplitBrain(t *testing.T) {
	for name, claim := range map[string]func(*store.Store, volume.PathClaim) error{
		"that of an attempt that is dead": func(s *store.Store, h volume.PathClaim) error {
			_, err := s.ClaimPath(h)
			return err
		},
		"given up before": func(s *store.Store, h volume.PathClaim) error {
			if err := s.ReleasePath(h.Path, func(volume.PathClaim) bool { return true }); err != nil {
				return err
			}
			_, err := s.ClaimPath(h)
			return err
		},
		"another's, put back": func(s *store.Store, h volume.PathClaim) error {
			if err := s.Root.Mkdir(h.Path, 0o700); err != nil { // what nobody holds is not put back for good
				return err
			}
			return s.GivePathUp(h.Path, func(volume.PathClaim) (bool, error) { return false, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := volumes.NewTorn(t, testcluster.VolumeOptions{})
			v.Create("other") // makes the driver's directories
			s := remembering(t, v)
			first := volume.PathClaim{Stamp: volume.NewRecord(volumes.Spec("vol")).Stamp(), Path: "vol"}
			_, err := s.ClaimPath(first)
			next := volume.PathClaim{Stamp: volume.NewRecord(volumes.Spec("vol")).Stamp(), Path: "vol"}
			volumes.Must(t, err, s.Commit(), claim(s, next))
			v.Forget(0)
			held, err := s.HolderOf("vol")
			volumes.Must(t, err)
			if held.Path != "vol" {
				t.Errorf("it is held by %v", held)
			}
		})
	}
}

// remembering is a store that has the first brick remember what is there whenever that is put on disk.
func remembering(t *testing.T, v *volumes.Torn) *store.Store {
	t.Helper()
	view, err := owndir.OpenView(volumes.GV0, v.Client.Path)
	volumes.Must(t, err)
	t.Cleanup(view.Close)
	c := commit.New()
	t.Cleanup(c.Close)
	return store.New(view, store.NewMemory(func(root *safepath.Dir) error {
		if err := os.RemoveAll(v.Before(0)); err != nil {
			return err
		}
		v.Remember(0)
		return c.Commit(t.Context(), root)
	}), nil)
}
