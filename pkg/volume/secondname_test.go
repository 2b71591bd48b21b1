// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A brick that forgot a rename has the record of an entry under the name before, and GlusterFS gives each brick both.
func TestOfTwoNamesOfARecordOneIsLeft(t *testing.T) {
	ready := []string{"ready vol"}
	purge := onEntry(func(s *Store, name string) error { return s.Purge(background, name, &Purging{}) })
	reconcile := func(s *Store) error { return s.Reconcile(background, unlocked) }
	reap := func(s *Store) error { _, err := s.Reap(background, 1000*time.Hour); return err }
	for name, test := range map[string]struct {
		suffix, second string
		do             func(*Store) error
		want           []string
	}{
		"restore":                    {recordSuffix, backSuffix, onEntry(restoreEntry), ready},
		"restore of what was held":   {heldSuffix, backSuffix, onEntry(restoreEntry), ready},
		"hold":                       {recordSuffix, heldSuffix, onEntry((*Store).Hold), []string{"held vol"}},
		"release":                    {heldSuffix, recordSuffix, onEntry((*Store).Release), []string{"trash vol"}},
		"purge":                      {recordSuffix, doomedSuffix, purge, nil},
		"the reaper":                 {recordSuffix, doomedSuffix, reap, nil},
		"restore, by the reconciler": {recordSuffix, backSuffix, reconcile, ready},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			s.recent, s.abandoned = 0, 0
			create(t, s, spec("vol"))
			must(t, s.Delete(background, "vol"))
			if test.suffix == heldSuffix {
				must(t, onEntry((*Store).Hold)(s))
			}
			entries, err := s.TrashEntries()
			must(t, err)
			record := filepath.Join(mountpoint, trashFile(entries[0].Name))
			must(t, os.Link(record+test.suffix, record+test.second))
			must(t, test.do(s))
			same(t, audit(t, mountpoint), test.want...)
			left, err := filepath.Glob(filepath.Join(mountpoint, ownDir, "*", "??", "vol.*Z.*"))
			must(t, err)
			if records := map[bool]int{true: 1}[len(test.want) > 0 && test.want[0] != "ready vol"]; len(left) != records {
				t.Errorf("left is %q, want %d records", left, records)
			}
		})
	}
}

func restoreEntry(s *Store, name string) error { _, err := s.Restore(name); return err }

// A brick that forgot that a creation is being taken back has its record in its place, and it may not be listed where it
// was moved to.
func TestACreationWhoseRecordHasTwoNamesIsTakenBack(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent, s.abandoned = 0, 0
	cut(open(t, mountpoint), stepMode, func(s *Store) { _, _ = s.Create(spec("vol")) })
	f, err := s.look("vol")
	must(t, err)
	must(t, os.Link(filepath.Join(mountpoint, recordFile("vol")), filepath.Join(mountpoint, creatingFile(f.record.stamp(), revokedSuffix))))
	must(t, s.undoFile(begunVolume(f)))
	same(t, audit(t, mountpoint))
}

// Another controller may move the record on at the same moment. What was moved aside is the record then.
func TestANameThatIsTheOnlyOneByNowIsMovedBack(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent, s.abandoned = 0, 0
	create(t, s, spec("vol"))
	must(t, s.Delete(background, "vol"))
	entries, err := s.TrashEntries()
	must(t, err)
	record := filepath.Join(mountpoint, trashFile(entries[0].Name))
	must(t, os.Link(record+recordSuffix, record+heldSuffix))
	s.step = func(at string) {
		if at == stepNameAside {
			must(t, os.Remove(record+heldSuffix))
		}
	}
	wants(t, s.Release(entries[0].Name), ErrBusy)
	same(t, audit(t, mountpoint), "trash vol")

	// A kill leaves it aside.
	s.step = func(string) {}
	must(t, os.Link(record+recordSuffix, record+heldSuffix))
	cut(s, stepNameAside, func(s *Store) { _ = s.Release(entries[0].Name) })
	must(t, s.Reconcile(background, unlocked))
	same(t, audit(t, mountpoint), "held vol")
	left, err := filepath.Glob(record + ".*")
	if err != nil || len(left) != 1 {
		t.Errorf("left is %q, %v", left, err)
	}
}
