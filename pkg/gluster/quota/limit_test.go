// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"errors"
	"math"
	"testing"
)

func TestTheHeadroomIsWhereBricksAskAboutEachWrite(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, test := range []struct {
		name            string
		bytes, headroom int64
		percent         int64
	}{
		{"a small limit", 100 * mib, gib, 0},
		{"one as large as the headroom", gib, gib, 0},
		{"one a byte larger", gib + 1, gib, 0},
		{"twice the headroom", 2 * gib, gib, 50},
		{"one whose share is no whole percent", 3 * gib, gib, 66},
		{"five times the headroom", 5 * gib, gib, 80},
		{"a large limit", 1 << 50, gib, 99},
		{"the largest limit", math.MaxInt64, gib, 99},
		{"no headroom", gib, 0, 100},
		{"less than no headroom", gib, -1, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := Choose(test.bytes, test.headroom)
			if want := (Limit{test.bytes, test.percent}); l != want {
				t.Errorf("got %+v, want %+v", l, want)
			}
		})
	}
}

func TestLimitsAreWrittenAsGlusterFSDoes(t *testing.T) {
	// What `gluster volume quota gv0 limit-usage /d1 20MB` and `… 100MB 60` have left on bricks of GlusterFS 10.3.
	for value, want := range map[string]Limit{
		"\x00\x00\x00\x00\x01\x40\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff": {20 << 20, DefaultSoftPercent},
		"\x00\x00\x00\x00\x06\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x3c": {100 << 20, 60},
	} {
		got, err := decodeLimit(value)
		if err != nil || got != want {
			t.Errorf("%x is read as %+v, %v; want %+v", value, got, err, want)
		}
		if written := want.encode(); written != value {
			t.Errorf("%+v is written as %x, want %x", want, written, value)
		}
	}
}

func FuzzDecodeLimit(f *testing.F) {
	for _, seed := range []string{
		"", "\x00", "no number at all", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		Limit{Bytes: 1}.encode(), Limit{Bytes: 1}.encode() + "\x00", Limit{20 << 20, DefaultSoftPercent}.encode(),
		Limit{math.MaxInt64, 100}.encode(), Limit{1, 101}.encode(), Limit{-1, -1}.encode(), Limit{0, 0}.encode(),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		l, err := decodeLimit(value)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || l != (Limit{}) {
				t.Errorf("%x is %+v and another kind of error: %v", value, l, err)
			}
			return
		}
		if l.Bytes <= 0 || l.SoftPercent < DefaultSoftPercent || l.SoftPercent > 100 {
			t.Errorf("%x was let through as %+v", value, l)
		}
		if again := l.encode(); again != value {
			t.Errorf("%x was written as %x again", value, again)
		}
	})
}
