// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func aCopy() Copy {
	return Copy{
		Kind: Snapshots, ID: "snap", Name: "snap", Created: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Source: Source{Volume: "pi/gv0/vol"},
		SourceStamp: StampOf("vol", time.Unix(1, 2)), Held: 1 << 30,
	}
}

func TestACopyIsReadAsItWasWritten(t *testing.T) {
	for _, c := range []Copy{aCopy(), {
		Kind: Clones, ID: "vol", Name: strings.Repeat("n", 128), Created: time.Unix(3, 4).UTC(), Source: Source{Snapshot: "pi/gv0/snap"},
		SourceStamp: StampOf("snap", time.Unix(1, 2)), Capacity: 5, Enforced: true,
	}} {
		content, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseCopy(content); err != nil || got != c {
			t.Errorf("got %+v, %v, want %+v", got, err, c)
		}
	}
}

func TestWhatNoDriverWroteOfACopyIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Copy){
		"another kind":      func(c *Copy) { c.Kind = "volumes" },
		"an ID that climbs": func(c *Copy) { c.ID = "../x" },
		"no source":         func(c *Copy) { c.Source = Source{} },
		"two sources":       func(c *Copy) { c.Source.Snapshot = "pi/gv0/snap" },
		"a broken source":   func(c *Copy) { c.Source.Volume = "pi/gv0" },
		"no stamp":          func(c *Copy) { c.SourceStamp = "vol" },
		"less than nothing": func(c *Copy) { c.Held = -1 },
	} {
		c := aCopy()
		change(&c)
		content, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCopy(content); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	newer := aCopy()
	newer.MinReader = 99
	content, _ := newer.Encode()
	if _, err := ParseCopy(content); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer driver's: %v", err)
	}
	if _, err := ParseCopy("{"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no JSON: %v", err)
	}
}

func FuzzParseCopy(f *testing.F) {
	content, _ := aCopy().Encode()
	f.Add(content)
	f.Fuzz(func(t *testing.T, content string) {
		c, err := ParseCopy(content)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			return // longer than a link
		}
		if got, err := ParseCopy(again); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%q: got %+v, %v", content, got, err)
		}
	})
}

// Names may be as long as paths, and a link takes 4095 bytes.
func TestAResultKeepsAsManyNamesAsALinkTakes(t *testing.T) {
	r := CopyResult{Completed: time.Unix(5, 6).UTC(), Entries: 7, Bytes: 8, Size: 9, Changed: Counted{Count: 20}, Vanished: Counted{Count: 1, First: []string{`"x"`}}}
	for range 20 {
		r.Changed.First = append(r.Changed.First, strings.Repeat("n", 1000))
	}
	content, err := r.Encode()
	if err != nil || len(content) > maxLink {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	got, err := ParseCopyResult(content)
	if err != nil || got.Changed.Count != 20 || len(got.Changed.First) != 3 || len(got.Vanished.First) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestASizeIsWhatARestoredVolumeNeeds(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		name                       string
		entries, bytes, held, want int64
	}{
		{"nothing but its directory", 1, 0, 0, mib},
		{"the rest of each last block counts", 512, 3 * mib, 0, 5 * mib},
		{"no more than it had room for", 512, 3 * mib, 4 * mib, 4 * mib},
	} {
		if got := SizeOf(test.entries, test.bytes, test.held); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
