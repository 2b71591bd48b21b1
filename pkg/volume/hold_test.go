// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAHeldEntryIsKeptUntilItIsReleased(t *testing.T) {
	s, mountpoint := storeOf(t)
	for _, name := range []string{"held", "other"} {
		wanted := spec(name)
		wanted.OnDelete = Delete
		create(t, s, wanted)
		must(t, s.Delete(background, name))
	}
	entries, err := s.TrashEntries()
	must(t, err)
	held := entries[0].Name
	for range 2 {
		must(t, s.Hold(held))
	}
	s.abandoned, s.earliest = 0, 0
	if n, err := s.Reap(background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	wants(t, s.Purge(background, held, &Purging{}), ErrHeld, "trash release")
	must(t, s.Reconcile(background, unlocked), s.Delete(background, "held"))
	same(t, audit(t, mountpoint), "held held")
	if entries, err := s.TrashEntries(); err != nil || len(entries) != 1 || !entries[0].Held() || entries[0].Unrestorable != "" {
		t.Errorf("%+v, %v", entries, err)
	}

	_, err = s.Restore(held)
	must(t, err)
	same(t, audit(t, mountpoint), "ready held")
	must(t, s.Delete(background, "held"))
	entries, err = s.TrashEntries()
	must(t, err)
	held = entries[0].Name
	must(t, s.Hold(held))
	for range 2 {
		must(t, s.Release(held))
	}
	if n, err := s.Reap(background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint))
	wants(t, s.Hold(held), ErrNotFound)
}

// What cannot be restored is held as before.
func TestAHeldEntryThatCannotBeRestoredStaysHeld(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("vol"))
	must(t, s.Delete(background, "vol"))
	entries, err := s.TrashEntries()
	must(t, err, s.Hold(entries[0].Name), os.Mkdir(filepath.Join(mountpoint, "vol"), 0o755))
	_, err = s.Restore(entries[0].Name)
	wants(t, err, ErrForeign)
	same(t, audit(t, mountpoint), "directory vol", "held vol")
}

func TestTheTrashSaysWhatCannotBeRestored(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent = 0
	reasons := map[string]string{}
	for _, name := range []string{"good", "again", "taken", "gone", "doomed"} {
		create(t, s, spec(name))
		must(t, s.Delete(background, name))
	}
	entries, err := s.TrashEntries()
	must(t, err)
	for _, e := range entries {
		switch e.Record.ID {
		case "gone":
			must(t, os.Remove(filepath.Join(mountpoint, trashFile(e.Name))))
		case "doomed":
			must(t, os.Rename(filepath.Join(mountpoint, trashFile(e.Name)+recordSuffix), filepath.Join(mountpoint, trashFile(e.Name)+doomedSuffix)))
		}
	}
	create(t, s, spec("again"))
	must(t, os.Mkdir(filepath.Join(mountpoint, "taken"), 0o755))
	entries, err = s.TrashEntries()
	must(t, err)
	for _, e := range entries {
		reasons[e.Record.ID] = e.Unrestorable
	}
	for id, want := range map[string]string{
		"good": "", "again": "a volume of its name is there again", "taken": "something is in its place, taken",
		"gone": "its data is gone", "doomed": "it is being removed",
	} {
		if reasons[id] != want {
			t.Errorf("%s cannot be restored since %q, want %q", id, reasons[id], want)
		}
	}
}

// The record of an entry that waits for its time is read once, not in each round.
func TestTheReaperReadsNoRecordTwice(t *testing.T) {
	s, mountpoint := storeOf(t)
	for _, name := range []string{"a", "b"} {
		create(t, s, spec(name))
		must(t, s.Delete(background, name))
	}
	if n, err := s.Reap(background, day); n != 0 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}
	records, err := filepath.Glob(filepath.Join(mountpoint, ownDir, trashDir, "*", "*"+recordSuffix))
	must(t, err)
	for _, record := range records { // whoever reads it now says so
		must(t, os.Rename(record, record+".away"), os.WriteFile(record, []byte("{"), 0o600))
	}
	if n, err := s.Reap(background, day); n != 0 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	for _, record := range records {
		must(t, os.Rename(record+".away", record))
	}
	if n, err := s.Reap(background, 0); n != 2 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, mountpoint))
}
