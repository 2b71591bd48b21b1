// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"testing"
	"time"
)

func TestWhatWasDeletedInTheLastHourDoesNotGoForSpace(t *testing.T) {
	s := &Store{memory: newMemory(nil), earliest: time.Hour}
	entry := func(ago time.Duration) TrashEntry {
		at := now().Add(-ago)
		return TrashEntry{Name: stamped("vol", at), Deleted: at}
	}
	lately, before := entry(time.Minute), entry(2*time.Hour)
	for right, want := range map[bool]bool{true: false, false: true} {
		s.isClockRight = func() bool { return right }
		if !s.isFresh(lately) || s.isFresh(before) != want {
			t.Errorf("with a clock that is right: %t: a minute ago %t, two hours ago %t", right, s.isFresh(lately), s.isFresh(before))
		}
	}
	s.earliest = 0 // this process has seen both for as long as that
	if s.isFresh(lately) || s.isFresh(before) {
		t.Error("what has been seen for its time is kept")
	}
}
