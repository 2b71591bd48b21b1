// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A brick that forgot a rename has the record of an entry under the name before, and GlusterFS gives each brick both.
func TestOfTwoNamesOfARecordOneIsLeft(t *testing.T) {
	ready := []string{"ready vol"}
	reconcile := func(s *lifecycle.Volumes) error { return s.Reconcile(volumes.Background, volumes.Unlocked) }
	reap := func(s *lifecycle.Volumes) error {
		_, err := s.Trash.Reap(volumes.Background, 1000*time.Hour)
		return err
	}
	for name, test := range map[string]struct {
		suffix, second string
		do             func(*lifecycle.Volumes) error
		want           []string
	}{
		"restore":                    {store.RecordSuffix, store.BackSuffix, onEntry(restoreEntry), ready},
		"restore of what was held":   {store.HeldSuffix, store.BackSuffix, onEntry(restoreEntry), ready},
		"hold":                       {store.RecordSuffix, store.HeldSuffix, onEntry((*trash.Trash).Hold), []string{"held vol"}},
		"release":                    {store.HeldSuffix, store.RecordSuffix, onEntry((*trash.Trash).Release), []string{"trash vol"}},
		"purge":                      {store.RecordSuffix, store.DoomedSuffix, purgeOnly, nil},
		"the reaper":                 {store.RecordSuffix, store.DoomedSuffix, reap, nil},
		"restore, by the reconciler": {store.RecordSuffix, store.BackSuffix, reconcile, ready},
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
			record := deleted(t, s, mountpoint)
			if test.suffix == store.HeldSuffix {
				volumes.Must(t, onEntry((*trash.Trash).Hold)(s))
			}
			volumes.Must(t, os.Link(record+test.suffix, record+test.second))
			volumes.Must(t, test.do(s))
			volumes.Same(t, volumes.Audit(t, mountpoint), test.want...)
			left, err := filepath.Glob(filepath.Join(own, "*", "??", "vol.*Z.*"))
			volumes.Must(t, err)
			if records := map[bool]int{true: 1}[len(test.want) > 0 && test.want[0] != "ready vol"]; len(left) != records {
				t.Errorf("left is %q, want %d records", left, records)
			}
		})
	}
}

func restoreEntry(s *trash.Trash, name string) error { _, err := s.Restore(name); return err }

// deleted makes a volume and deletes it. It returns where its record is, without the suffix.
func deleted(t *testing.T, s *lifecycle.Volumes, mountpoint string) (record string) {
	t.Helper()
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, s.Delete(volumes.Background, "vol"))
	entries, err := s.Trash.TrashEntries()
	volumes.Must(t, err)
	return filepath.Join(mountpoint, volumes.TrashFile(entries[0].Name))
}

// Another controller may move the record on at the same moment. What was moved aside is the record then.
func TestANameThatIsTheOnlyOneByNowIsMovedBack(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	record := deleted(t, s, mountpoint)
	entry := filepath.Base(record)
	volumes.Must(t, os.Link(record+store.RecordSuffix, record+store.HeldSuffix))
	s.Step = func(at string) {
		if at == "record: second name moved aside" {
			volumes.Must(t, os.Remove(record+store.HeldSuffix))
		}
	}
	volumes.Wants(t, s.Trash.Release(entry), volume.ErrBusy)
	volumes.Same(t, volumes.Audit(t, mountpoint), "trash vol")

	// A kill leaves it aside.
	s.Step = func(string) {}
	volumes.Must(t, os.Link(record+store.RecordSuffix, record+store.HeldSuffix))
	volumes.StopAt(s, "record: second name moved aside", func(s *lifecycle.Volumes) { _ = s.Trash.Release(entry) })
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	volumes.Same(t, volumes.Audit(t, mountpoint), "held vol")
	left, err := filepath.Glob(record + ".*")
	if err != nil || len(left) != 1 {
		t.Errorf("left is %q, %v", left, err)
	}
}
