// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// One server loses its power when a path has just been claimed that another attempt had held: it has what was there at the
// last force.
func TestTheClaimOfAPathThatWasGivenUpIsNotInSplitBrain(t *testing.T) {
	for name, claim := range map[string]func(*Store, holder) error{
		"that of an attempt that is dead": func(s *Store, h holder) error {
			_, err := s.claimPath(h)
			return err
		},
		"given up before": func(s *Store, h holder) error {
			if err := s.releasePath(h.path, func(holder) bool { return true }); err != nil {
				return err
			}
			_, err := s.claimPath(h)
			return err
		},
		"another's, put back": func(s *Store, h holder) error {
			return s.givePathUp(h.path, func(holder) (bool, error) { return false, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newTorn(t, testcluster.VolumeOptions{})
			v.volume("other") // makes the driver's directories
			commit := v.store.sightings.commit
			v.store.sightings.commit = func(root *safepath.Dir) error {
				if err := os.RemoveAll(v.before(0)); err != nil {
					return err
				}
				v.remembers(0)
				return commit(root)
			}
			first := holder{stamp: newRecord(spec("vol")).stamp(), path: "vol"}
			_, err := v.store.claimPath(first)
			must(t, err, v.store.commit(), claim(v.store, holder{stamp: newRecord(spec("vol")).stamp(), path: "vol"}))
			v.forgets(0)
			held, err := v.store.holderOf("vol")
			must(t, err)
			if held.path != "vol" {
				t.Errorf("it is held by %v", held)
			}
		})
	}
}
