// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package provisioned

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func countsTo(t *testing.T, sum *Sum, s *lifecycle.Volumes, all bool, want int64) {
	t.Helper()
	if err := sum.Count(volumes.Background, s.Store, all); err != nil {
		t.Error(err)
	}
	if got := sum.Now(); got != want<<30 || !sum.IsKnown() {
		t.Errorf("the sum is %d GiB, want %d", got>>30, want)
	}
}

// What one store does here is what another process does whose operations this one does not see.
func TestTheSumIsHeldAgainstWhatIsThere(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	var all Sums
	sum := all.Of(volumes.GV0)
	countsTo(t, sum, s, true, 0)
	for _, name := range []string{"a", "b", "c"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	volumes.StopAt(volumes.Open(t, mountpoint), "create: claimed", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("half")) })
	countsTo(t, sum, s, false, 3)

	volumes.Must(t, s.Delete(volumes.Background, "a")) // what is in the trash is provisioned to nobody
	countsTo(t, sum, s, false, 2)
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	if _, err := s.Trash.Restore(entries[0].Name); err != nil {
		t.Fatal(err)
	}
	countsTo(t, sum, s, false, 3)

	volumes.Expand(t, s, "b", 5<<30, 0, 5<<30)
	countsTo(t, sum, s, true, 7)

	// Of a record that cannot be read counts what was known, if anything was.
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, volumes.RecordFile("c")), []byte("damaged"), 0o600))
	countsTo(t, sum, volumes.Open(t, mountpoint), true, 7)
	countsTo(t, (&Sums{}).Of(volumes.GV0), volumes.Open(t, mountpoint), true, 6)
}

// A count reads for a while: of what this process has done meanwhile it knows nothing.
func TestWhatWasDoneDuringACountCounts(t *testing.T) {
	var all Sums
	s := all.Of(volumes.GV0)
	for _, id := range []string{"stays", "goes", "expanded", "anothers"} {
		s.Set(id, 1)
	}
	s.Reserve("under way", 1, 100)
	s.beginCount()
	if _, free := s.beginCount(); free {
		t.Error("two count at once")
	}
	s.Set("made", 1)
	s.Remove("goes")
	s.Set("expanded", 5)
	s.correct([]string{"stays", "goes", "expanded", "new"}, map[string]store.Size{"stays": {Bytes: 2}, "goes": {Bytes: 1}, "expanded": {Bytes: 1}, "new": {Bytes: 3}})
	s.endCount()
	if want := int64(2 + 5 + 3 + 1 + 1); s.Now() != want {
		t.Errorf("the sum is %d, want %d: %v", s.Now(), want, s.bytes)
	}
}

func TestWhatIsReservedIsNobodyElses(t *testing.T) {
	var all Sums
	s := all.Of(volumes.GV0)
	for i, reserve := range []struct {
		id   string
		size int64
		fits bool
	}{
		{"a", 6, true}, {"b", 5, false}, {"b", 4, true}, {"c", 1, false}, {"c", 0, true}, {"a", 6, true}, {"a", 7, false}, {"a", 3, true},
		{"c", 1<<63 - 1, false},
	} {
		if _, fits := s.Reserve(reserve.id, reserve.size, 10); fits != reserve.fits {
			t.Errorf("reservation %d: %t, %v", i, fits, s.bytes)
		}
	}
	s.Remove("b")
	if _, fits := s.Reserve("c", 4, 10); !fits || s.Now() != 10 {
		t.Errorf("what was given back cannot be had: %v", s.bytes)
	}
	if _, fits := s.Reserve("a", 6, 5); !fits { // the bound was lowered, or bricks were taken away
		t.Error("a volume that is there does not fit")
	}
}

// A count that GlusterFS does not answer is no count.
func TestACountThatEndsHalfwayIsNone(t *testing.T) {
	s, _ := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	var all Sums
	ended, cancel := context.WithCancel(volumes.Background)
	cancel()
	if err := all.Of(volumes.GV0).Count(ended, s.Store, true); err == nil || all.Of(volumes.GV0).IsKnown() {
		t.Errorf("it counts: %v", err)
	}
}
