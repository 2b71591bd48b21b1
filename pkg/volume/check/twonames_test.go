// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package check_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A restoration that one brick has forgotten: the volume is in use, and one brick has it in the trash, where it is due.
func TestALiveVolumeThatABrickHasInTheTrashIsLeftAlone(t *testing.T) {
	for name, test := range map[string]struct {
		options  testcluster.VolumeOptions
		forgets  []int
		outvoted bool // by the two other bricks: then the record in the trash may not be seen
	}{
		"replica 2": {options: testcluster.VolumeOptions{}, forgets: []int{0}},
		"the other": {options: testcluster.VolumeOptions{}, forgets: []int{1}},
		"arbiter":   {options: testcluster.VolumeOptions{Arbiter: true}, forgets: []int{0}, outvoted: true},
		"2x2":       {options: testcluster.VolumeOptions{Subvolumes: 2}, forgets: []int{0, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			v := volumes.NewTorn(t, test.options)
			r := v.Create("vol")
			volumes.Must(t, v.Store.Delete(volumes.Background, "vol"))
			entry := v.Entry()
			v.Remember(test.forgets...)
			volumes.Must(t, volumes.RestoreOnly(v.Store))
			v.Forget(test.forgets...)
			if got := v.At(test.forgets[0], r.GFID); got != "/"+volumes.TrashFile(entry) {
				t.Fatalf("the brick has it at %q", got)
			}

			v.HasTwo("vol") // before anybody has asked for its record by name, of which a brick knows nothing
			volumes.Publish(t, v.Store, lifecycle.Access{ID: "vol"})
			volumes.Must(t, os.WriteFile(filepath.Join(v.Client.Path, "vol/new"), []byte("new"), 0o600))
			before := v.All(r.GFID)
			const intervals = 10
			for i := range intervals {
				n, err := v.Store.Trash.Reap(volumes.Background, 0)
				if n != 0 || err == nil && i > 0 && !test.outvoted {
					t.Errorf("%d were reaped, %v", n, err)
				}
				if err != nil && !test.outvoted {
					volumes.Wants(t, err, volume.ErrForeign, entry, "vol")
				}
				err = v.Store.Trash.Purge(volumes.Background, entry, &trash.Purging{}) // asks for the record by name, which heals it
				if !test.outvoted || !errors.Is(err, volume.ErrNotFound) && !errors.Is(err, volume.ErrDisconnected) {
					volumes.Wants(t, err, volume.ErrForeign)
				}
				volumes.Must(t, v.Store.Reconcile(volumes.Background, volumes.Unlocked))
				v.HasTwo("vol")
				volumes.Publish(t, v.Store, lifecycle.Access{ID: "vol"})
			}
			if _, err := v.Store.Trash.Restore(entry); err != nil { // to its end
				if !test.outvoted {
					t.Error(err)
				}
				volumes.Wants(t, err, volume.ErrDisconnected)
			}
			for range intervals {
				if n, err := v.Store.Trash.Reap(volumes.Background, 0); n != 0 || err != nil && !test.outvoted {
					t.Errorf("%d were reaped, %v", n, err)
				}
				volumes.Must(t, v.Store.Reconcile(volumes.Background, volumes.Unlocked))
			}
			problem := v.HasTwo("vol")
			for i, after := range v.All(r.GFID) {
				if !maps.Equal(before[i], after) {
					t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
				}
			}
			volumes.Publish(t, v.Store, lifecycle.Access{ID: "vol"})

			live, _, _ := strings.Cut(problem.Cure, "; if none does")
			v.Cure(live)
			volumes.Finds(t, v.Store, false)
			v.Alike(r.GFID, "/vol")
			if _, err := v.Store.Trash.Reap(volumes.Background, 0); err != nil { // forgets the entry, if it is still there
				t.Error(err)
			}
			if got := v.All(r.GFID); !maps.Equal(got[0], before[0]) {
				t.Errorf("brick 0 has %v now, and had %v", got[0], before[0])
			}
			volumes.FreshEyes(t, v.Cluster, v.Name, func(mountpoint string) {
				volumes.Same(t, volumes.Audit(t, mountpoint), "directory vol/sub", "directory vol/sub/deeper", "ready vol")
			})
		})
	}
}

// A deletion that one brick has forgotten, wholly or after the record's rename.
func TestADeletedVolumeThatABrickHasInItsPlaceIsDeletedByTheCure(t *testing.T) {
	for name, test := range map[string]struct {
		point    string // after which all is forgotten
		restored bool   // before Check has been asked again
	}{
		"of which nothing is known":                     {},
		"of which nothing is known, and it is restored": {restored: true},
		"of which the record is known":                  {point: "delete: record moved"},
	} {
		t.Run(name, func(t *testing.T) {
			point := test.point
			v := volumes.NewTorn(t, testcluster.VolumeOptions{})
			r := v.Create("vol")
			if point == "" {
				v.Remember(0)
			}
			v.Store.Step = func(at string) {
				if at == point {
					v.Remember(0)
				}
			}
			volumes.Must(t, v.Store.Delete(volumes.Background, "vol"))
			entry := v.Entry()
			v.Forget(0)
			if got := v.At(0, r.GFID); got != "/vol" {
				t.Fatalf("the brick has it at %q", got)
			}
			before := v.All(r.GFID)
			for i := range 10 {
				n, err := v.Store.Trash.Reap(volumes.Background, 0)
				if n != 0 || err == nil && i > 0 { // the first list may be of the brick that has forgotten
					t.Errorf("%d were reaped, %v", n, err)
				}
				if err := v.Store.Trash.Purge(volumes.Background, entry, &trash.Purging{}); !errors.Is(err, volume.ErrForeign) && !errors.Is(err, volume.ErrTwoNames) {
					t.Errorf("purge: %v", err)
				}
				_, err = v.Store.Trash.Restore(entry)
				volumes.Wants(t, err, volume.ErrTwoNames, "vol", "volume check")
				volumes.Must(t, v.Store.Reconcile(volumes.Background, volumes.Unlocked))
				v.HasTwo("vol")
			}
			for i, after := range v.All(r.GFID) {
				if !maps.Equal(before[i], after) {
					t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
				}
			}
			cure := v.HasTwo("vol").Cure
			v.Cure(volumes.CureOfDeletion(cure))
			v.Alike(r.GFID, "/"+volumes.TrashFile(entry))
			if !test.restored {
				volumes.Finds(t, v.Store, false)
				volumes.FreshEyes(t, v.Cluster, v.Name, func(mountpoint string) { volumes.Same(t, volumes.Audit(t, mountpoint), "trash vol") })
			}
			volumes.Must(t, volumes.RestoreOnly(v.Store))
			volumes.Finds(t, v.Store, false)
			v.Alike(r.GFID, "/vol")
			volumes.Publish(t, v.Store, lifecycle.Access{ID: "vol"})
		})
	}
}

// The deletion that a brick has forgotten is not at its end before that is put right, and is repeated until then. Its
// record that has come back is older than the trash entry, and goes.
func TestWhatHasTwoNamesIsNotDeletedBeforeTheCure(t *testing.T) {
	v := volumes.NewTorn(t, testcluster.VolumeOptions{})
	r := v.Create("vol")
	v.Remember(0)
	volumes.Must(t, v.Store.Delete(volumes.Background, "vol"))
	entry := v.Entry()
	v.Forget(0)
	before := v.All(r.GFID)
	for range 2 {
		volumes.Wants(t, v.Store.Delete(volumes.Background, "vol"), volume.ErrTwoNames, entry, "volume check")
	}
	problem := v.HasTwo("vol")
	for i, after := range v.All(r.GFID) {
		if !maps.Equal(before[i], after) {
			t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
		}
	}
	v.Cure(volumes.CureOfDeletion(problem.Cure))
	volumes.Must(t, v.Store.Delete(volumes.Background, "vol"))
	volumes.Finds(t, v.Store, false)
	v.Alike(r.GFID, "/"+volumes.TrashFile(entry))
	_, err := v.Store.Trash.Restore(entry)
	volumes.Must(t, err)
	volumes.Publish(t, v.Store, lifecycle.Access{ID: "vol"})
}

// Somebody has taken a deleted volume's data out of the trash by hand, and one brick has forgotten that.
func TestWhatWasTakenOutOfTheTrashIsNotRemovedThroughItsOtherName(t *testing.T) {
	v := volumes.NewTorn(t, testcluster.VolumeOptions{})
	r := v.Create("vol")
	volumes.Must(t, v.Store.Delete(volumes.Background, "vol"))
	entry := v.Entry()
	v.Remember(0)
	volumes.Must(t, os.Rename(filepath.Join(v.Client.Path, volumes.TrashFile(entry)), filepath.Join(v.Client.Path, "rescued")))
	v.Forget(0)
	before := v.All(r.GFID)
	for range 2 {
		n, err := v.Store.Trash.Reap(volumes.Background, 0)
		if n != 0 {
			t.Error("it was reaped")
		}
		volumes.Wants(t, err, volume.ErrTwoNames, "rescued")
		volumes.Wants(t, v.Store.Trash.Purge(volumes.Background, entry, &trash.Purging{}), volume.ErrTwoNames)
	}
	v.HasTwo("vol")
	for i, after := range v.All(r.GFID) {
		if !maps.Equal(before[i], after) {
			t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
		}
	}
}

// What is in the trash may have become the directory of another volume by hand.
func TestTheReaperKnowsALiveVolumeByItsGFID(t *testing.T) {
	for name, id := range map[string]string{"of another name": "adopted", "of the same name": "vol"} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			r := volumes.Create(t, s, volumes.Spec("vol"))
			volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, "vol/dear"), nil, 0o600), s.Delete(volumes.Background, "vol"))
			entries, err := s.Trash.TrashEntries()
			volumes.Must(t, err)
			other := volume.NewRecord(volumes.Spec(id))
			other.Path, other.Origin, other.GFID = "mine", volume.Adopted, r.GFID
			volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, volume.OwnDir, owndir.VolumesDir, id+store.RecordSuffix), other.Encode(), 0o600))
			n, err := s.Trash.Reap(volumes.Background, 0)
			if n != 0 {
				t.Error("it was reaped")
			}
			volumes.Wants(t, err, volume.ErrForeign, "volume "+id)
			volumes.Wants(t, s.Trash.Purge(volumes.Background, entries[0].Name, &trash.Purging{}), volume.ErrForeign, "volume "+id)
			if _, err := os.Stat(filepath.Join(mountpoint, volumes.TrashFile(entries[0].Name), "dear")); err != nil {
				t.Error(err)
			}
			// Once that volume is gone, the entry goes.
			volumes.Must(t, os.Remove(filepath.Join(mountpoint, volume.OwnDir, owndir.VolumesDir, id+store.RecordSuffix)))
			if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
				t.Errorf("reaped %d, %v", n, err)
			}
			volumes.Same(t, volumes.Audit(t, mountpoint))
		})
	}
}

// A brick may bring back the trash entry of a restored volume without its data. With the entry goes nothing of the
// volume.
func TestAStaleEntryDoesNotTakeAlongTheGFIDOfAVolumeOfTheFirstVersion(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent, s.Abandoned = 0, 0
	volumes.MakeSchema1(t, s, "old", "old")
	volumes.Publish(t, s, lifecycle.Access{ID: "old"}) // takes it over
	volumes.Must(t, s.Delete(volumes.Background, "old"))
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	entry := filepath.Join(mountpoint, volumes.TrashFile(entries[0].Name)+store.RecordSuffix)
	record, err := os.ReadFile(entry)
	volumes.Must(t, err, volumes.RestoreOnly(s), unix.Removexattr(filepath.Join(mountpoint, "old"), store.MarkXattr), os.WriteFile(entry, record, 0o600))
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Publish(t, s, lifecycle.Access{ID: "old"})
	volumes.Finds(t, s, false)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready old")
}
