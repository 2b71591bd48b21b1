// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package trash_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestAHeldEntryIsKeptUntilItIsReleased(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	for _, name := range []string{"held", "other"} {
		wanted := volumes.Spec(name)
		wanted.OnDelete = volume.Delete
		volumes.Create(t, s, wanted)
		volumes.Must(t, s.Delete(volumes.Background, name))
	}
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	held := entries[0].Name
	for range 2 {
		volumes.Must(t, s.Trash.Hold(held))
	}
	s.Abandoned, s.Earliest = 0, 0
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Wants(t, s.Trash.Purge(volumes.Background, held, &trash.Purging{}), volume.ErrHeld, "trash release")
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked), s.Delete(volumes.Background, "held"))
	volumes.Same(t, volumes.Audit(t, mountpoint), "held held")
	if entries, err := s.Trash.TrashEntries(); err != nil || len(entries) != 1 || !entries[0].Held() || entries[0].Unrestorable != "" {
		t.Errorf("%+v, %v", entries, err)
	}

	_, err = s.Trash.Restore(held)
	volumes.Must(t, err)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready held")
	volumes.Must(t, s.Delete(volumes.Background, "held"))
	entries, err = s.Trash.TrashEntries()
	volumes.Must(t, err)
	held = entries[0].Name
	volumes.Must(t, s.Trash.Hold(held))
	for range 2 {
		volumes.Must(t, s.Trash.Release(held))
	}
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
	volumes.Wants(t, s.Trash.Hold(held), volume.ErrNotFound)
}

// A round of the reaper lists the trash once, and removes for minutes.
func TestWhatIsRestoredOrHeldDuringARoundIsNotSaidToBeRemoved(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(s *lifecycle.Volumes, entry string) error
		left      string
	}{
		"restored": {func(s *lifecycle.Volumes, entry string) error { _, err := s.Trash.Restore(entry); return err }, "ready second"},
		"held":     {func(s *lifecycle.Volumes, entry string) error { return s.Trash.Hold(entry) }, "held second"},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			for _, name := range []string{"first", "second"} {
				volumes.Create(t, s, volumes.Spec(name))
				volumes.Must(t, s.Delete(volumes.Background, name))
			}
			entries, err := s.Trash.TrashEntries()
			volumes.Must(t, err)
			other := volumes.Open(t, mountpoint)
			s.Step = func(point string) {
				if point == "reap: record removed" {
					volumes.Must(t, test.meanwhile(other, entries[1].Name))
				}
			}
			if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
				t.Errorf("reaped %d, %v", n, err)
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), test.left)
		})
	}
}

// What cannot be restored is held as before.
func TestAHeldEntryThatCannotBeRestoredStaysHeld(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, s.Delete(volumes.Background, "vol"))
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err, s.Trash.Hold(entries[0].Name), os.Mkdir(filepath.Join(mountpoint, "vol"), 0o755))
	_, err = s.Trash.Restore(entries[0].Name)
	volumes.Wants(t, err, volume.ErrForeign)
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory vol", "held vol")
}

func TestTheTrashSaysWhatCannotBeRestored(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent = 0
	reasons := map[string]string{}
	for _, name := range []string{"good", "again", "taken", "gone", "doomed"} {
		volumes.Create(t, s, volumes.Spec(name))
		volumes.Must(t, s.Delete(volumes.Background, name))
	}
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	for _, e := range entries {
		switch e.Record.ID {
		case "gone":
			volumes.Must(t, os.Remove(filepath.Join(mountpoint, volumes.TrashFile(e.Name))))
		case "doomed":
			volumes.Must(t, os.Rename(filepath.Join(mountpoint, volumes.TrashFile(e.Name)+store.RecordSuffix), filepath.Join(mountpoint, volumes.TrashFile(e.Name)+store.DoomedSuffix)))
		}
	}
	volumes.Create(t, s, volumes.Spec("again"))
	volumes.Must(t, os.Mkdir(filepath.Join(mountpoint, "taken"), 0o755))
	entries, err = s.Trash.TrashEntries()
	volumes.Must(t, err)
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
	s, mountpoint := volumes.OnGV0(t)
	for _, name := range []string{"a", "b"} {
		volumes.Create(t, s, volumes.Spec(name))
		volumes.Must(t, s.Delete(volumes.Background, name))
	}
	if n, err := s.Trash.Reap(volumes.Background, day); n != 0 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}
	records, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, owndir.TrashDir, "*", "*"+store.RecordSuffix))
	volumes.Must(t, err)
	for _, record := range records { // whoever reads it now says so
		volumes.Must(t, os.Rename(record, record+".away"), os.WriteFile(record, []byte("{"), 0o600))
	}
	if n, err := s.Trash.Reap(volumes.Background, day); n != 0 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	for _, record := range records {
		volumes.Must(t, os.Rename(record+".away", record))
	}
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 2 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}
