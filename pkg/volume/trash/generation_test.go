// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package trash_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A record that comes back after its volume was deleted is older than the entry, whoever meets it.
func TestARecordThatComesBackDoesNotUndoADeletion(t *testing.T) {
	tests := map[string]struct {
		do   func(s *lifecycle.Volumes, entry string) error
		want []string
	}{
		"delete":    {func(s *lifecycle.Volumes, _ string) error { return s.Delete(volumes.Background, "vol") }, []string{"trash vol"}},
		"reconcile": {func(s *lifecycle.Volumes, _ string) error { return s.Reconcile(volumes.Background, volumes.Unlocked) }, []string{"trash vol"}},
		"reap":      {func(s *lifecycle.Volumes, _ string) error { _, err := s.Trash.Reap(volumes.Background, 0); return err }, nil},
		"purge": {func(s *lifecycle.Volumes, e string) error {
			return s.Trash.Purge(volumes.Background, e, &trash.Purging{})
		}, nil},
		"restore": {func(s *lifecycle.Volumes, e string) error { _, err := s.Trash.Restore(e); return err }, []string{"ready vol"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			s.Recent, s.Abandoned = 0, 0
			volumes.Create(t, s, volumes.Spec("vol"))
			volumes.Must(t, s.Delete(volumes.Background, "vol"))
			entries, err := s.Trash.TrashEntries()
			volumes.Must(t, err)
			entry := entries[0].Name
			volumes.BringBack(t, mountpoint, volumes.TrashFile(entry)+store.RecordSuffix, volumes.RecordFile("vol"))
			volumes.Must(t, test.do(s, entry))
			volumes.Same(t, volumes.Audit(t, mountpoint), test.want...)
		})
	}
}

// An entry that comes back after its volume was restored is older than the record.
func TestAnEntryThatComesBackDoesNotUndoARestoration(t *testing.T) {
	tests := map[string]struct {
		do   func(s *lifecycle.Volumes, entry string) error
		want []string
	}{
		"delete": {func(s *lifecycle.Volumes, _ string) error { return s.Delete(volumes.Background, "vol") }, []string{"trash vol", "trash vol"}},
		"reap":   {func(s *lifecycle.Volumes, _ string) error { _, err := s.Trash.Reap(volumes.Background, 0); return err }, []string{"ready vol"}},
		"purge": {func(s *lifecycle.Volumes, e string) error {
			return s.Trash.Purge(volumes.Background, e, &trash.Purging{})
		}, []string{"ready vol"}},
		"restore":   {func(s *lifecycle.Volumes, e string) error { _, err := s.Trash.Restore(e); return err }, []string{"ready vol"}},
		"create":    {func(s *lifecycle.Volumes, _ string) error { _, err := s.Create(volumes.Spec("vol")); return err }, []string{"ready vol", "trash vol"}},
		"reconcile": {func(s *lifecycle.Volumes, _ string) error { return s.Reconcile(volumes.Background, volumes.Unlocked) }, []string{"ready vol", "trash vol"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			s.Recent, s.Abandoned = 0, 0
			volumes.Create(t, s, volumes.Spec("vol"))
			volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, "vol", "dear"), nil, 0o600), s.Delete(volumes.Background, "vol"))
			entries, err := s.Trash.TrashEntries()
			volumes.Must(t, err)
			entry := filepath.Join(mountpoint, volumes.TrashFile(entries[0].Name)+store.RecordSuffix)
			record, err := os.ReadFile(entry)
			volumes.Must(t, err, volumes.RestoreOnly(s), os.WriteFile(entry, record, 0o600))
			volumes.Must(t, test.do(s, entries[0].Name))
			s.Step = func(string) {}
			if name == "delete" { // the older entry has nothing, and its removal takes nothing from the newer
				n, err := s.Trash.Reap(volumes.Background, time.Hour)
				if n != 0 || err != nil {
					t.Errorf("reaped %d, %v", n, err)
				}
				volumes.Must(t, s.Trash.Purge(volumes.Background, entries[0].Name, &trash.Purging{}))
				volumes.Must(t, volumes.RestoreOnly(s))
				test.want = []string{"ready vol"}
			}
			if _, err := os.Stat(filepath.Join(mountpoint, "vol", "dear")); err != nil {
				t.Error(err)
			}
			if test.want[len(test.want)-1] == "ready vol" {
				volumes.Same(t, volumes.Audit(t, mountpoint), test.want...)
			}
		})
	}
}
