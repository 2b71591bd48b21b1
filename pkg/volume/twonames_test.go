// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
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
			v := newTorn(t, test.options)
			r := v.volume("vol")
			must(t, v.store.Delete(background, "vol"))
			entry := v.entry()
			v.remembers(test.forgets...)
			must(t, restoreOnly(v.store))
			v.forgets(test.forgets...)
			if got := v.at(test.forgets[0], r.GFID); got != "/"+trashFile(entry) {
				t.Fatalf("the brick has it at %q", got)
			}

			v.hasTwo("vol") // before anybody has asked for its record by name, of which a brick knows nothing
			publish(t, v.store, Access{ID: "vol"})
			must(t, os.WriteFile(filepath.Join(v.mount.Path, "vol/new"), []byte("new"), 0o600))
			before := v.all(r.GFID)
			const intervals = 10
			for i := range intervals {
				n, err := v.store.Reap(background, 0)
				if n != 0 || err == nil && i > 0 && !test.outvoted {
					t.Errorf("%d were reaped, %v", n, err)
				}
				if err != nil && !test.outvoted {
					wants(t, err, ErrForeign, entry, "vol")
				}
				err = v.store.Purge(background, entry, &Purging{}) // asks for the record by name, which heals it
				if !test.outvoted || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDisconnected) {
					wants(t, err, ErrForeign)
				}
				must(t, v.store.Reconcile(background, unlocked))
				v.hasTwo("vol")
				publish(t, v.store, Access{ID: "vol"})
			}
			if _, err := v.store.Restore(entry); err != nil { // to its end
				if !test.outvoted {
					t.Error(err)
				}
				wants(t, err, ErrDisconnected)
			}
			for range intervals {
				if n, err := v.store.Reap(background, 0); n != 0 || err != nil && !test.outvoted {
					t.Errorf("%d were reaped, %v", n, err)
				}
				must(t, v.store.Reconcile(background, unlocked))
			}
			problem := v.hasTwo("vol")
			for i, after := range v.all(r.GFID) {
				if !maps.Equal(before[i], after) {
					t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
				}
			}
			publish(t, v.store, Access{ID: "vol"})

			live, _, _ := strings.Cut(problem.Cure, "; if none does")
			v.cure(live)
			finds(t, v.store, false)
			v.alike(r.GFID, "/vol")
			if _, err := v.store.Reap(background, 0); err != nil { // forgets the entry, if it is still there
				t.Error(err)
			}
			if got := v.all(r.GFID); !maps.Equal(got[0], before[0]) {
				t.Errorf("brick 0 has %v now, and had %v", got[0], before[0])
			}
			freshEyes(t, v.Cluster, v.name, func(mountpoint string) {
				same(t, audit(t, mountpoint), "directory vol/sub", "directory vol/sub/deeper", "ready vol")
			})
		})
	}
}

// ofTheDeletion is the part of a cure that is for a volume which was deleted: where GlusterFS has brought back the record
// once more, there is one for a volume that is there, too.
func ofTheDeletion(cure string) string {
	if _, deleted, both := strings.Cut(cure, "; if none does"); both {
		return deleted
	}
	return cure
}

// A deletion that one brick has forgotten, wholly or after the record's rename.
func TestADeletedVolumeThatABrickHasInItsPlaceIsDeletedByTheCure(t *testing.T) {
	for name, test := range map[string]struct {
		point    string // after which all is forgotten
		restored bool   // before Check has been asked again
	}{
		"of which nothing is known":                     {},
		"of which nothing is known, and it is restored": {restored: true},
		"of which the record is known":                  {point: stepFiled},
	} {
		t.Run(name, func(t *testing.T) {
			point := test.point
			v := newTorn(t, testcluster.VolumeOptions{})
			r := v.volume("vol")
			if point == "" {
				v.remembers(0)
			}
			v.store.step = func(at string) {
				if at == point {
					v.remembers(0)
				}
			}
			must(t, v.store.Delete(background, "vol"))
			entry := v.entry()
			v.forgets(0)
			if got := v.at(0, r.GFID); got != "/vol" {
				t.Fatalf("the brick has it at %q", got)
			}
			before := v.all(r.GFID)
			for i := range 10 {
				n, err := v.store.Reap(background, 0)
				if n != 0 || err == nil && i > 0 { // the first list may be of the brick that has forgotten
					t.Errorf("%d were reaped, %v", n, err)
				}
				if err := v.store.Purge(background, entry, &Purging{}); !errors.Is(err, ErrForeign) && !errors.Is(err, ErrTwoNames) {
					t.Errorf("purge: %v", err)
				}
				_, err = v.store.Restore(entry)
				wants(t, err, ErrTwoNames, "vol", "volume check")
				must(t, v.store.Reconcile(background, unlocked))
				v.hasTwo("vol")
			}
			for i, after := range v.all(r.GFID) {
				if !maps.Equal(before[i], after) {
					t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
				}
			}
			cure := v.hasTwo("vol").Cure
			v.cure(ofTheDeletion(cure))
			v.alike(r.GFID, "/"+trashFile(entry))
			if !test.restored {
				finds(t, v.store, false)
				freshEyes(t, v.Cluster, v.name, func(mountpoint string) { same(t, audit(t, mountpoint), "trash vol") })
			}
			must(t, restoreOnly(v.store))
			finds(t, v.store, false)
			v.alike(r.GFID, "/vol")
			publish(t, v.store, Access{ID: "vol"})
		})
	}
}

// The deletion that a brick has forgotten is not at its end before that is put right, and is repeated until then. Its
// record that has come back is older than the trash entry, and goes.
func TestWhatHasTwoNamesIsNotDeletedBeforeTheCure(t *testing.T) {
	v := newTorn(t, testcluster.VolumeOptions{})
	r := v.volume("vol")
	v.remembers(0)
	must(t, v.store.Delete(background, "vol"))
	entry := v.entry()
	v.forgets(0)
	before := v.all(r.GFID)
	for range 2 {
		wants(t, v.store.Delete(background, "vol"), ErrTwoNames, entry, "volume check")
	}
	problem := v.hasTwo("vol")
	for i, after := range v.all(r.GFID) {
		if !maps.Equal(before[i], after) {
			t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
		}
	}
	v.cure(ofTheDeletion(problem.Cure))
	must(t, v.store.Delete(background, "vol"))
	finds(t, v.store, false)
	v.alike(r.GFID, "/"+trashFile(entry))
	_, err := v.store.Restore(entry)
	must(t, err)
	publish(t, v.store, Access{ID: "vol"})
}

// Somebody has taken a deleted volume's data out of the trash by hand, and one brick has forgotten that.
func TestWhatWasTakenOutOfTheTrashIsNotRemovedThroughItsOtherName(t *testing.T) {
	v := newTorn(t, testcluster.VolumeOptions{})
	r := v.volume("vol")
	must(t, v.store.Delete(background, "vol"))
	entry := v.entry()
	v.remembers(0)
	must(t, os.Rename(filepath.Join(v.mount.Path, trashFile(entry)), filepath.Join(v.mount.Path, "rescued")))
	v.forgets(0)
	before := v.all(r.GFID)
	for range 2 {
		n, err := v.store.Reap(background, 0)
		if n != 0 {
			t.Error("it was reaped")
		}
		wants(t, err, ErrTwoNames, "rescued")
		wants(t, v.store.Purge(background, entry, &Purging{}), ErrTwoNames)
	}
	v.hasTwo("vol")
	for i, after := range v.all(r.GFID) {
		if !maps.Equal(before[i], after) {
			t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
		}
	}
}

// What is in the trash may have become the directory of another volume by hand.
func TestTheReaperKnowsALiveVolumeByItsGFID(t *testing.T) {
	for name, id := range map[string]string{"of another name": "adopted", "of the same name": "vol"} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			r := create(t, s, spec("vol"))
			must(t, os.WriteFile(filepath.Join(mountpoint, "vol/dear"), nil, 0o600), s.Delete(background, "vol"))
			entries, err := s.TrashEntries()
			must(t, err)
			other := newRecord(spec(id))
			other.Path, other.Origin, other.GFID = "mine", Adopted, r.GFID
			must(t, os.WriteFile(filepath.Join(mountpoint, ownDir, volumesDir, id+recordSuffix), other.encode(), 0o600))
			n, err := s.Reap(background, 0)
			if n != 0 {
				t.Error("it was reaped")
			}
			wants(t, err, ErrForeign, "volume "+id)
			wants(t, s.Purge(background, entries[0].Name, &Purging{}), ErrForeign, "volume "+id)
			if _, err := os.Stat(filepath.Join(mountpoint, trashFile(entries[0].Name), "dear")); err != nil {
				t.Error(err)
			}
			// Once that volume is gone, the entry goes.
			must(t, os.Remove(filepath.Join(mountpoint, ownDir, volumesDir, id+recordSuffix)))
			if n, err := s.Reap(background, 0); n != 1 || err != nil {
				t.Errorf("reaped %d, %v", n, err)
			}
			same(t, audit(t, mountpoint))
		})
	}
}

// A brick may bring back the trash entry of a restored volume without its data. With the entry goes nothing of the
// volume.
func TestAStaleEntryDoesNotTakeAlongTheGFIDOfAVolumeOfTheFirstVersion(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent, s.abandoned = 0, 0
	makeSchema1(t, s, "old", "old")
	publish(t, s, Access{ID: "old"}) // takes it over
	must(t, s.Delete(background, "old"))
	entries, err := s.TrashEntries()
	must(t, err)
	entry := filepath.Join(mountpoint, trashFile(entries[0].Name)+recordSuffix)
	record, err := os.ReadFile(entry)
	must(t, err, restoreOnly(s), unix.Removexattr(filepath.Join(mountpoint, "old"), markXattr), os.WriteFile(entry, record, 0o600))
	if n, err := s.Reap(background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	publish(t, s, Access{ID: "old"})
	finds(t, s, false)
	same(t, audit(t, mountpoint), "ready old")
}
