// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package check_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// copied makes a copy of a volume, complete or as far as its directory.
func copied(t *testing.T, s *lifecycle.Volumes, kind volume.CopyKind, id string, r volume.Record, complete bool) copying.Status {
	t.Helper()
	copies := copying.New(s.Store, kind)
	st, err := copies.Claim(volume.Copy{
		Kind: kind, ID: id, Name: id, Created: volume.Now(), Source: volume.Source{Volume: volume.ID{Volume: volumes.GV0, ID: r.ID}.String()}, SourceStamp: r.Stamp(),
	})
	volumes.Must(t, err, copies.Ask(st))
	if complete {
		from, err := s.Root.Open(r.Path)
		volumes.Must(t, err)
		defer from.Close()
		_, err = copies.Run(volumes.Background, st, from, copying.Options{})
		volumes.Must(t, err)
	}
	return st
}

func TestCheckHoldsCopiesAgainstTheirRecords(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	r := volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, "vol", "data"), []byte("dear"), 0o600))
	var gone []string // the directories that go
	for _, kind := range []volume.CopyKind{volume.Snapshots, volume.Clones} {
		for _, id := range []string{"whole", "nodata", "norecord", "half", "begun", "torn"} {
			st := copied(t, s, kind, string(kind)+id, r, id != "half" && id != "begun")
			place, err := copying.New(s.Store, kind).Place(st)
			volumes.Must(t, err)
			if id == "nodata" {
				gone = append(gone, filepath.Join(mountpoint, place))
			}
		}
	}
	volumes.Finds(t, s, false)
	for _, kind := range []volume.CopyKind{volume.Snapshots, volume.Clones} {
		for _, id := range []string{"norecord", "half", "torn"} {
			claims, err := filepath.Glob(filepath.Join(own, string(kind), "??", string(kind)+id+store.RecordSuffix))
			volumes.Must(t, err, os.Remove(claims[0]))
			if id == "torn" {
				volumes.Must(t, os.Symlink("no record", claims[0]))
			}
		}
	}
	for _, tree := range gone {
		volumes.Must(t, os.RemoveAll(tree))
	}
	s.Abandoned = time.Hour
	unreadable := []string{"unreadable clonestorn", "unreadable snapshotstorn"}
	volumes.Finds(t, s, false, append(unreadable, "copy-no-data clonesnodata", "copy-no-data snapshotsnodata")...) // who has made the others may go on
	s.Abandoned = 0
	lost := append(slices.Clone(unreadable), "copy-no-data snapshotsnodata", "copy-no-record clonesnorecord", "copy-no-record snapshotsnorecord")
	all := append(slices.Clone(lost), "copy-no-data clonesnodata", "copy-no-record cloneshalf", "copy-no-record snapshotshalf")
	volumes.Finds(t, s, false, all...)
	volumes.Finds(t, s, true, all...)
	removing := []string{"copy-not-removed clones.cloneshalf", "copy-not-removed clones.clonesnodata", "copy-not-removed snapshots.snapshotshalf"}
	volumes.Finds(t, s, true, append(removing, lost...)...)
	volumes.Finds(t, s, false, lost...)
	for _, kind := range []string{"clones", "snapshots"} {
		for _, id := range []string{"whole", "norecord", "torn"} { // nothing that was complete has gone
			dear, err := filepath.Glob(filepath.Join(own, kind, "??", kind+id+".*", "tree", "data"))
			if err != nil || len(dear) != 1 {
				t.Errorf("of %s in %s there is %q, %v", id, kind, dear, err)
			}
		}
	}
}

func TestCheckFindsWhatWasGivenUpAndIsNotRemoved(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	r := volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, "vol", "data"), []byte("dear"), 0o600))
	st := copied(t, s, volume.Snapshots, "snap", r, true)
	volumes.Must(t, copying.New(s.Store, volume.Snapshots).GiveUp(st))
	s.Abandoned = time.Hour
	volumes.Finds(t, s, false) // a controller may remove it
	s.Abandoned = 0
	foreign := filepath.Join(own, owndir.RemovingDir, "0a", "foreign")
	volumes.Must(t, os.MkdirAll(foreign, 0o700), os.WriteFile(filepath.Join(foreign, "dear"), nil, 0o600))
	volumes.Finds(t, s, true, "copy-not-removed snapshots.snap", "leftover foreign")
	volumes.Finds(t, s, false, "leftover foreign")
	left, err := filepath.Glob(filepath.Join(own, owndir.RemovingDir, "??", "*"))
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], "/foreign") {
		t.Errorf("left is %q, %v", left, err)
	}
	volumes.Must(t, os.RemoveAll(foreign))
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}
