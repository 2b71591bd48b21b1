// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

// used is what du says of the driver's own directory.
func used(t *testing.T, mountpoint string) (bytes int64) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "du", "-s", "-B1", filepath.Join(mountpoint, volume.OwnDir)).Output()
	volumes.Must(t, err)
	_, err = fmt.Sscan(string(out), &bytes)
	volumes.Must(t, err)
	return bytes
}

func TestAloneIsWhatIsFreeWithoutASnapshot(t *testing.T) {
	v, mountpoint := volumes.OnGV0(t)
	r := volumes.Create(t, v, volumes.Spec("vol"))
	at := func(name any) string { return filepath.Join(mountpoint, r.Path, fmt.Sprint(name)) }
	write := func(name any, pages int, content byte) {
		volumes.Must(t, os.MkdirAll(filepath.Dir(at(name)), 0o700), os.WriteFile(at(name), bytes.Repeat([]byte{content}, pages<<12), 0o600))
	}
	s := snapshot.New(v.Store)
	for i := range files {
		write(i, 10, 1)
	}
	write("several", 200, 1)
	volumes.Must(t, os.Mkdir(at("d"), 0o700), os.Link(at("several"), at("d/name")), os.Link(at("several"), at("third")))
	take(t, s, "one", r)
	write(3, 100, 2)
	write("new/file", 300, 2)
	take(t, s, "two", r)
	write(3, 100, 3)
	volumes.Must(t, os.Remove(at("several")), os.Remove(at("d/name")), os.Remove(at("third")))
	take(t, s, "three", r)
	for _, test := range []struct {
		name  string
		pages int64 // of content
	}{
		{"two", 100},
		{"one", 10 + 200}, // the file of three names is no more in "two"
		{"three", 10*(files-1) + 100 + 300},
	} {
		alone, err := s.Alone(volumes.Background, test.name)
		volumes.Must(t, err)
		before := used(t, mountpoint)
		volumes.Must(t, s.Delete(test.name))
		if n, err := copying.Reap(volumes.Background, s.Store); err != nil || n != 1 {
			t.Errorf("%d were removed, %v", n, err)
		}
		freed := before - used(t, mountpoint)
		t.Logf("%s: alone %d, freed %d", test.name, alone, freed)
		const record = 32 << 10 // and its directory
		if freed < alone || freed > alone+record {
			t.Errorf("%s holds %d bytes alone, and %d were free without it", test.name, alone, freed)
		}
		if least := test.pages << 12; alone < least || alone > least+128<<10 { // its directories and its manifest
			t.Errorf("%s holds %d bytes alone, of %d of content", test.name, alone, least)
		}
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
