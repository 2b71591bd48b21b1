// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"strings"
	"testing"
	"time"
)

const anEntry = "pvc-1.20261127T024758.123456789Z"

func TestTheNameOfAnEntrySaysForHowLongAndByWhom(t *testing.T) {
	for _, test := range []struct {
		k    Keeping
		base string
	}{
		{Keeping{Retention: Unsaid}, anEntry},
		{Keeping{24 * time.Hour, "5f0c"}, anEntry + "+86400s@5f0c"},
		{Keeping{0, "production.pi"}, anEntry + "+0s@production.pi"},
		{Keeping{1500 * time.Millisecond, ""}, anEntry + "+1.5s"},
		{Keeping{10 * 365 * 24 * time.Hour, strings.Repeat("k", maxKubernetes)}, anEntry + "+315360000s@" + strings.Repeat("k", maxKubernetes)},
	} {
		if base := EntryBase(anEntry, test.k); base != test.base {
			t.Errorf("%+v is %s, not %s", test.k, base, test.base)
		}
		name, k, ok := ParseEntryBase(test.base)
		if !ok || name != anEntry || k != test.k {
			t.Errorf("%s is read as %s, %+v, %t", test.base, name, k, ok)
		}
		if id := IDOfStamp(test.base); id != "pvc-1" {
			t.Errorf("%s is of volume %q", test.base, id)
		}
		if e, err := ParseEntryID("pi/gv0/" + test.base); err != nil || e.Name != anEntry || e.Volume.Name != "gv0" {
			t.Errorf("%s on a command line is %+v, %v", test.base, e, err)
		}
		if IsEntryName(test.base) != (test.k.Retention == Unsaid) { // what a driver before this takes for an entry
			t.Errorf("%s is an entry's name", test.base)
		}
	}
	for _, base := range []string{
		"", "+", "pvc-1", "pvc-1+1s@a", anEntry + "+", anEntry + "+1", anEntry + "+-1s", anEntry + "+1m", anEntry + "+1s@", anEntry + "+1s@a/b", anEntry + "+1s@a+1s@b",
		anEntry + "+1s@" + strings.Repeat("k", maxKubernetes+1), anEntry + "+99999999999999999999s",
	} {
		if name, k, ok := ParseEntryBase(base); ok {
			t.Errorf("%q is read as %s, %+v", base, name, k)
		}
	}
}

// The longest name of a file of an entry, which is moved aside for a moment with 21 bytes more, is one that file systems
// have.
func TestTheNameOfAnEntryIsShortEnough(t *testing.T) {
	longest := EntryBase(StampOf(strings.Repeat("i", maxID), Now()), Keeping{1<<63 - 1, strings.Repeat("k", maxKubernetes)}) + ".doomed"
	if len(longest)+21 > 255 {
		t.Errorf("%d bytes: %s", len(longest), longest)
	}
}

func FuzzParseEntryBase(f *testing.F) {
	f.Add(anEntry + "+86400s@5f0c")
	f.Add(anEntry)
	f.Fuzz(func(t *testing.T, base string) {
		name, k, ok := ParseEntryBase(base)
		if !ok {
			return
		}
		again, sameK, ok := ParseEntryBase(EntryBase(name, k))
		if !ok || again != name || sameK != k {
			t.Errorf("%q: %q %+v, and then %q %+v", base, name, k, again, sameK)
		}
	})
}

func TestWhatIsAnothersIsOfSomebodyElse(t *testing.T) {
	for _, test := range []struct {
		of, own string
		others  bool
	}{{"", "", false}, {"", "a", false}, {"a", "a", false}, {"a", "b", true}, {"a", "", true}} {
		if IsOthers(test.of, test.own) != test.others {
			t.Errorf("%q for %q: %t", test.of, test.own, !test.others)
		}
	}
}

func TestWhatWasChangedOfAVolumeSaysWhoseItIs(t *testing.T) {
	r := NewRecord(Spec{Name: "pvc-1", Path: "pvc-1", OnDelete: Trash, Quota: QuotaAuto})
	r.GFID, r.Kubernetes = "5f0c2d6e-0000-4000-8000-000000000001", "a"
	read, err := ParseRecord(r.Encode())
	if err != nil || read.Kubernetes != "a" {
		t.Fatalf("%q, %v", read.Kubernetes, err)
	}
	for taken, want := range map[string]string{"": "a", "b": "b"} {
		content, err := Attributes{Capacity: 1, Kubernetes: taken}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		a, err := ParseAttributes(content)
		if now := a.ApplyTo(read); err != nil || now.Kubernetes != want {
			t.Errorf("with %s it is %q's, %v", content, now.Kubernetes, err)
		}
	}
	r.Kubernetes = "a b"
	if _, err := ParseRecord(r.Encode()); err == nil {
		t.Error("any text is an ID")
	}
}
