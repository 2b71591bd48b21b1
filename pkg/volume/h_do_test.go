// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"strings"
	"testing"
)

func spec(name string) Spec {
	return Spec{Name: name, Path: name, Required: 1 << 30, OnDelete: Trash}
}

func create(t *testing.T, s *Store, spec Spec) Record {
	t.Helper()
	r, err := s.Create(spec)
	if err != nil {
		t.Fatalf("create %s: %v", spec.Name, err)
	}
	return r
}

// put makes a volume of a directory that is there.
func put(t *testing.T, s *Store, r Record) {
	t.Helper()
	dir, err := s.root.Open(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c, err := s.claim(r)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := s.claimPath(holder{stamp: r.stamp(), path: r.Path}); err != nil {
		t.Fatal(err)
	}
	if r.GFID, err = gfidOf(dir); err != nil {
		t.Fatal(err)
	}
	if err := c.complete(r); err != nil {
		t.Fatal(err)
	}
}

// cut does something and stops it at a point, as a kill does.
func cut(s *Store, point string, do func(s *Store)) {
	step := s.step
	defer func() {
		s.step = step
		_ = recover()
	}()
	s.step = func(at string) {
		if at == point {
			panic("killed")
		}
	}
	do(s)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// wants fails the test unless err is of the kind, and says every one of the words.
func wants(t *testing.T, err, kind error, words ...string) {
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

func ptr[T any](v T) *T { return &v }

func publish(t *testing.T, s *Store, a Access) string {
	t.Helper()
	dir, root, err := s.Directory(background, a)
	if err != nil {
		t.Fatal(err)
	}
	dir.Close()
	return root
}

// restoreOnly restores the entry that there is, if it was not done to its end before.
func restoreOnly(s *Store) error {
	entries, err := s.TrashEntries()
	if err == nil && len(entries) == 1 {
		_, err = s.Restore(entries[0].Name)
	}
	return err
}

// expand gives a volume a capacity, and fails the test unless it has it then for everybody.
func expand(t *testing.T, s *Store, id string, required, limit, want int64) {
	t.Helper()
	r, err := s.Expand(id, required, limit)
	if err != nil || r.Capacity != want {
		t.Fatalf("expand %s to %d, at most %d: %d, %v; want %d", id, required, limit, r.Capacity, err, want)
	}
	isOf(t, s, id, want)
}

func isOf(t *testing.T, s *Store, id string, want int64) {
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
