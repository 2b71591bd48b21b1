// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
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

// entryOf was deleted by a Kubernetes cluster, which keeps what it deletes for so long.
func entryOf(kubernetes string, retention, ago time.Duration) store.TrashEntry {
	at := volume.Now().Add(-ago)
	return store.TrashEntry{
		Name: volume.StampOf("vol-"+kubernetes, at), Deleted: at, Keeping: volume.Keeping{Retention: retention, Kubernetes: kubernetes},
	}
}

func TestEachReaperObeysWhoDeleted(t *testing.T) {
	const moment = time.Nanosecond
	for name, test := range map[string]struct {
		entry     store.TrashEntry
		own       time.Duration // how long the reaper keeps what says nothing
		abandoned time.Duration // for how long it must have seen what is due by its stamp
		wrong     bool          // the reaper's clock, as far as its kernel knows
		due       bool
	}{
		"another's, kept for longer":                         {entryOf("a", 24*time.Hour, time.Minute), moment, 0, false, false},
		"another's, kept for longer, and its time has come":  {entryOf("a", time.Hour, 2*time.Hour), moment, 0, false, true},
		"the same by a clock that may be wrong":              {entryOf("a", time.Hour, 2*time.Hour), moment, 0, true, false},
		"the same, and just seen":                            {entryOf("a", time.Hour, 2*time.Hour), moment, time.Hour, false, false},
		"another's, kept for less":                           {entryOf("a", moment, time.Minute), 24 * time.Hour, time.Hour, false, true},
		"nobody's, kept for longer":                          {entryOf("", 24*time.Hour, time.Minute), moment, 0, false, false},
		"of a driver that did not say, and the reaper's own": {entryOf("", volume.Unsaid, time.Minute), moment, 0, false, true},
		"the same, kept by the reaper":                       {entryOf("", volume.Unsaid, time.Minute), 24 * time.Hour, 0, false, false},
	} {
		s := &Trash{Store: &store.Store{Memory: store.NewMemory(nil), Directory: owndir.Directory{Abandoned: test.abandoned}, Kubernetes: "b", IsClockRight: func() bool { return !test.wrong }}}
		s.isDue(test.entry, test.own) // sees it
		if due := s.isDue(test.entry, test.own); due != test.due {
			t.Errorf("%s: due: %t", name, due)
		}
	}
}

func TestOnlyWhoDeletedItShortensItsTime(t *testing.T) {
	s := &Trash{Store: &store.Store{Memory: store.NewMemory(nil), Kubernetes: "b", IsClockRight: func() bool { return true }}}
	for kubernetes, want := range map[string]bool{"a": false, "b": true, "": true} {
		if may := s.mayGoForSpace(entryOf(kubernetes, 24*time.Hour, 2*time.Hour)); may != want {
			t.Errorf("for space goes what %q deleted: %t", kubernetes, may)
		}
	}
	recorded := entryOf("", volume.Unsaid, 2*time.Hour) // by a driver that did not say
	recorded.Record.Kubernetes = "a"
	if s.mayGoForSpace(recorded) {
		t.Error("for space goes what was another's")
	}
}
