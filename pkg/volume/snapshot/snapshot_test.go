// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package snapshot_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/snapshot"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const files = 30

func of(r volume.Record) snapshot.Of {
	return snapshot.Of{ID: volume.ID{Volume: volumes.GV0, ID: r.ID}.String(), Stamp: r.Stamp()}
}

// take makes a snapshot of a volume, complete.
func take(t *testing.T, s *snapshot.Snapshots, name string, r volume.Record) volume.CopyResult {
	t.Helper()
	st, err := s.Claim(name, of(r))
	volumes.Must(t, err)
	from, err := s.Root.Open(r.Path)
	volumes.Must(t, err)
	defer from.Close()
	previous, err := s.Previous(volumes.Background, st)
	volumes.Must(t, err)
	defer previous.Close()
	o := copying.Options{Hash: true}
	if previous != nil {
		o.Previous, o.PreviousStamp = &previous.Previous, previous.Stamp
	}
	result, err := s.Run(volumes.Background, st, from, o)
	volumes.Must(t, err)
	return result
}

// isWhole fails the test unless a snapshot has all of what it had when it was complete, byte by byte.
func isWhole(t *testing.T, s *snapshot.Snapshots, name string) {
	t.Helper()
	report, err := s.Verify(volumes.Background, name, true)
	if err != nil || !report.Whole() || report.Hashed != files {
		t.Errorf("%s: %+v, %v", name, report, err)
	}
}

func TestOfTwoSnapshotsEitherMayGoFirst(t *testing.T) {
	for _, first := range []string{"one", "two"} {
		t.Run(first, func(t *testing.T) {
			v, mountpoint := volumes.OnGV0(t)
			r := volumes.Create(t, v, volumes.Spec("vol"))
			at := filepath.Join(mountpoint, r.Path)
			for i := range files {
				volumes.Must(t, os.WriteFile(filepath.Join(at, fmt.Sprint(i)), []byte(fmt.Sprint("content ", i)), 0o600))
			}
			s := snapshot.New(v.Store)
			one := take(t, s, "one", r)
			volumes.Must(t, os.WriteFile(filepath.Join(at, "3"), []byte("changed, and longer"), 0o600))
			two := take(t, s, "two", r)
			if one.Linked != 0 || one.Previous != "" || two.Linked != files-1 || two.Previous == "" || two.Entries != files+1 {
				t.Errorf("the first is %+v, the second %+v", one, two)
			}
			isWhole(t, s, "one")
			isWhole(t, s, "two")
			volumes.Must(t, s.Delete(first))
			if n, err := copying.Reap(volumes.Background, s.Store); err != nil || n != 1 {
				t.Errorf("%d were removed, %v", n, err)
			}
			left := map[string]string{"one": "two", "two": "one"}[first]
			isWhole(t, s, left)
			if _, _, err := s.Open(first); err == nil {
				t.Error("what was deleted is there")
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol", "complete in snapshots: "+left)
		})
	}
}

// A volume that was deleted and made again has nothing in common with the one before, nor has another volume.
func TestASnapshotIsLinkedToNoOtherVolumes(t *testing.T) {
	v, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	s := snapshot.New(v.Store)
	first := volumes.Create(t, v, volumes.Spec("vol"))
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, "vol", "data"), []byte("dear"), 0o600))
	take(t, s, "one", first)
	volumes.Must(t, v.Delete(volumes.Background, "vol"))
	second, other := volumes.Create(t, v, volumes.Spec("vol")), volumes.Create(t, v, volumes.Spec("other"))
	for name, r := range map[string]volume.Record{"two": second, "three": other} {
		if got := take(t, s, name, r); got.Previous != "" || got.Linked != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	_, err := s.Claim("one", of(other))
	volumes.Wants(t, err, volume.ErrIncompatible, "not of volume")
}

func TestAListGoesOnAfterAnID(t *testing.T) {
	v, _ := volumes.OnGV0(t)
	s := snapshot.New(v.Store)
	a, b := volumes.Create(t, v, volumes.Spec("a")), volumes.Create(t, v, volumes.Spec("b"))
	for i := range 7 {
		_, err := s.Claim(fmt.Sprint("snap", i), of([]volume.Record{a, b}[i%2]))
		volumes.Must(t, err)
	}
	for _, test := range []struct {
		of, after string
		limit     int
		want      string
	}{
		{"", "", 3, "snap0 snap1 snap2 "},
		{"", "snap2", 3, "snap3 snap4 snap5 "},
		{"", "snap4a", 3, "snap5 snap6 "},
		{of(b).ID, "", 2, "snap1 snap3 "},
		{of(b).ID, "snap3", 2, "snap5 "},
		{"pi/gv0/none", "", 2, ""},
	} {
		found, err := s.List(volumes.Background, test.of, test.after, test.limit)
		got := ""
		for _, st := range found {
			got += st.ID + " "
		}
		if err != nil || got != test.want {
			t.Errorf("of %q after %q: %q, %v, want %q", test.of, test.after, got, err, test.want)
		}
	}
	if _, _, err := s.Open("snap0"); !errors.Is(err, volume.ErrBusy) {
		t.Errorf("one that is not complete: %v", err)
	}
}
