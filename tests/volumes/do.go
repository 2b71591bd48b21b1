// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volumes

import (
	"errors"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Spec is a volume of 1 GiB at the path of its name.
func Spec(name string) volume.Spec {
	return volume.Spec{Name: name, Path: name, Required: 1 << 30, OnDelete: volume.Trash}
}

// Create makes a volume, or ends the test.
func Create(t *testing.T, s *lifecycle.Volumes, spec volume.Spec) volume.Record {
	t.Helper()
	r, err := s.Create(spec)
	if err != nil {
		t.Fatalf("create %s: %v", spec.Name, err)
	}
	return r
}

// MakeOf makes a volume of a directory that is there.
func MakeOf(t *testing.T, s *lifecycle.Volumes, r volume.Record) {
	t.Helper()
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c, err := s.Creations.ClaimRecord(r)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := s.ClaimPath(volume.PathClaim{Stamp: r.Stamp(), Path: r.Path}); err != nil {
		t.Fatal(err)
	}
	if r.GFID, err = store.GFIDOf(dir); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Creations.Complete(c, r), s.Commit()); err != nil {
		t.Fatal(err)
	}
}

// StopAt does something and stops it at a point, as a kill does.
func StopAt(s *lifecycle.Volumes, point string, do func(s *lifecycle.Volumes)) {
	step := s.Step
	defer func() {
		s.Step = step
		_ = recover()
	}()
	s.Step = func(at string) {
		if at == point {
			panic("killed")
		}
	}
	do(s)
}

// Must ends the test if there is an error.
func Must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Wants fails the test unless err is of the kind, and says every one of the words.
func Wants(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one that is %q", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

// Ptr is for what may be left out.
func Ptr[T any](v T) *T { return &v }

// Publish returns the path of the directory that is to be published.
func Publish(t *testing.T, s *lifecycle.Volumes, a lifecycle.Access) string {
	t.Helper()
	dir, root, err := s.Directory(Background, a)
	if err != nil {
		t.Fatal(err)
	}
	dir.Close()
	return root
}

// RestoreOnly restores the entry that there is, if it was not done to its end before.
func RestoreOnly(s *lifecycle.Volumes) error {
	entries, err := s.Trash.TrashEntries()
	if err == nil && len(entries) == 1 {
		_, err = s.Trash.Restore(entries[0].Name)
	}
	return err
}

// Expand gives a volume a capacity, and fails the test unless it has it then for everybody.
func Expand(t *testing.T, s *lifecycle.Volumes, id string, required, limit, want int64) {
	t.Helper()
	r, err := s.Expand(id, required, limit)
	if err != nil || r.Capacity != want {
		t.Fatalf("expand %s to %d, at most %d: %d, %v; want %d", id, required, limit, r.Capacity, err, want)
	}
	ShowsCapacity(t, s, id, want)
}

// ShowsCapacity fails the test unless a volume has this capacity by its name and in the list.
func ShowsCapacity(t *testing.T, s *lifecycle.Volumes, id string, want int64) {
	t.Helper()
	if r, err := s.Get(id); err != nil || r.Capacity != want {
		t.Errorf("volume %s has %d bytes, %v, want %d", id, r.Capacity, err, want)
	}
	page, err := s.List("", 1000)
	if err := errors.Join(err, page.Damaged); err != nil {
		t.Error(err)
	}
	for _, r := range page.Records {
		if r.ID == id && r.Capacity != want {
			t.Errorf("volume %s is listed with %d bytes, want %d", id, r.Capacity, want)
		}
	}
}
