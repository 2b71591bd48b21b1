// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// purge removes the only entry of the trash.
func purge(t *testing.T, s *lifecycle.Volumes) {
	t.Helper()
	entries, err := s.Trash.TrashEntries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v: %d entries", err, len(entries))
	}
	if err := s.Trash.Purge(volumes.Background, entries[0].Name, &trash.Purging{}); err != nil {
		t.Fatal(err)
	}
}

// TestWhatGoesWhileItIsTakenOverIsNoError, as by the reaper: the rest is taken over all the same.
func TestWhatGoesWhileItIsTakenOverIsNoError(t *testing.T) {
	for _, what := range []string{"a volume", "a trash entry"} {
		t.Run(what, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			s.Kubernetes = "dead"
			volumes.Create(t, s, volumes.Spec("vol"))
			other := volumes.Open(t, mountpoint)
			remove := func() error { return other.Delete(volumes.Background, "vol") }
			takeOver := func() (bool, error) { return s.TakeOver("vol", "dead") }
			if what == "a trash entry" {
				if err := s.Delete(volumes.Background, "vol"); err != nil {
					t.Fatal(err)
				}
				entries, err := s.Trash.TrashEntries()
				if err != nil || len(entries) != 1 {
					t.Fatalf("%v: %d entries", err, len(entries))
				}
				remove = func() error { return nil }
				takeOver = func() (bool, error) { return s.TakeOverEntry(entries[0].Name, "dead") }
			}
			s.Kubernetes = "test"
			isGone := false
			s.Step = func(point string) {
				if point != "change: attributes read" || isGone {
					return
				}
				isGone = true
				if err := remove(); err != nil {
					t.Error(err)
				}
				purge(t, other)
			}
			if is, err := takeOver(); is || err != nil || !isGone {
				t.Errorf("taken over: %v, %v", is, err)
			}
		})
	}
}
