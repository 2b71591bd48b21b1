// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

func TestWhatWasDeletedInTheLastHourDoesNotGoForSpace(t *testing.T) {
	s := &Trash{Store: &store.Store{Memory: store.NewMemory(nil), Earliest: time.Hour}}
	entry := func(ago time.Duration) store.TrashEntry {
		at := volume.Now().Add(-ago)
		return store.TrashEntry{Name: volume.StampOf("vol", at), Deleted: at}
	}
	lately, before := entry(time.Minute), entry(2*time.Hour)
	for right, want := range map[bool]bool{true: false, false: true} {
		s.IsClockRight = func() bool { return right }
		if !s.isFresh(lately) || s.isFresh(before) != want {
			t.Errorf("with a clock that is right: %t: a minute ago %t, two hours ago %t", right, s.isFresh(lately), s.isFresh(before))
		}
	}
	s.Earliest = 0 // this process has seen both for as long as that
	if s.isFresh(lately) || s.isFresh(before) {
		t.Error("what has been seen for its time is kept")
	}
}
