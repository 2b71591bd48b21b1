// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A record that comes back after its volume was deleted is older than the entry, whoever meets it.
func TestARecordThatComesBackDoesNotUndoADeletion(t *testing.T) {
	tests := map[string]struct {
		do   func(s *Store, entry string) error
		want []string
	}{
		"delete":    {func(s *Store, _ string) error { return s.Delete(background, "vol") }, []string{"trash vol"}},
		"reconcile": {func(s *Store, _ string) error { return s.Reconcile(background, unlocked) }, []string{"trash vol"}},
		"reap":      {func(s *Store, _ string) error { _, err := s.Reap(background, 0); return err }, nil},
		"purge":     {func(s *Store, e string) error { return s.Purge(background, e, &Purging{}) }, nil},
		"restore":   {func(s *Store, e string) error { _, err := s.Restore(e); return err }, []string{"ready vol"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			s.recent, s.abandoned = 0, 0
			create(t, s, spec("vol"))
			must(t, s.Delete(background, "vol"))
			entries, err := s.TrashEntries()
			must(t, err)
			entry := entries[0].Name
			again(t, mountpoint, trashFile(entry)+recordSuffix, recordFile("vol"))
			must(t, test.do(s, entry))
			same(t, audit(t, mountpoint), test.want...)
		})
	}
}

// An entry that comes back after its volume was restored is older than the record.
func TestAnEntryThatComesBackDoesNotUndoARestoration(t *testing.T) {
	tests := map[string]struct {
		do   func(s *Store, entry string) error
		want []string
	}{
		"delete":    {func(s *Store, _ string) error { return s.Delete(background, "vol") }, []string{"trash vol", "trash vol"}},
		"reap":      {func(s *Store, _ string) error { _, err := s.Reap(background, 0); return err }, []string{"ready vol"}},
		"purge":     {func(s *Store, e string) error { return s.Purge(background, e, &Purging{}) }, []string{"ready vol"}},
		"restore":   {func(s *Store, e string) error { _, err := s.Restore(e); return err }, []string{"ready vol"}},
		"create":    {func(s *Store, _ string) error { _, err := s.Create(spec("vol")); return err }, []string{"ready vol", "trash vol"}},
		"reconcile": {func(s *Store, _ string) error { return s.Reconcile(background, unlocked) }, []string{"ready vol", "trash vol"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			s.recent, s.abandoned = 0, 0
			create(t, s, spec("vol"))
			must(t, os.WriteFile(filepath.Join(mountpoint, "vol", "dear"), nil, 0o600), s.Delete(background, "vol"))
			entries, err := s.TrashEntries()
			must(t, err)
			entry := filepath.Join(mountpoint, trashFile(entries[0].Name)+recordSuffix)
			record, err := os.ReadFile(entry)
			must(t, err, restoreOnly(s), os.WriteFile(entry, record, 0o600))
			must(t, test.do(s, entries[0].Name))
			s.step = func(string) {}
			if name == "delete" { // the older entry has nothing, and its removal takes nothing from the newer
				n, err := s.Reap(background, time.Hour)
				if n != 0 || err != nil {
					t.Errorf("reaped %d, %v", n, err)
				}
				must(t, s.Purge(background, entries[0].Name, &Purging{}))
				must(t, restoreOnly(s))
				test.want = []string{"ready vol"}
			}
			if _, err := os.Stat(filepath.Join(mountpoint, "vol", "dear")); err != nil {
				t.Error(err)
			}
			if test.want[len(test.want)-1] == "ready vol" {
				same(t, audit(t, mountpoint), test.want...)
			}
		})
	}
}
