// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// alike waits until both bricks of a volume have the same directories: GlusterFS 10.3 leaves one on one brick only, once in
// a few hundred times when two clients change one directory at the same moment, until it heals.
func alike(t *testing.T, c *testcluster.Cluster, name string) {
	t.Helper()
	testcluster.Eventually(t, time.Minute, func() error {
		first, second := directories(t, c.BrickPath(name, 0)), directories(t, c.BrickPath(name, 1))
		if maps.Equal(first, second) {
			return nil
		}
		_, err := c.Gluster("volume", "heal", name, "full")
		return errors.Join(fmt.Errorf("brick 0 has %v, brick 1 %v", first, second), err)
	})
}

// expected are the errors that a caller is told to try again after, or not to.
func expected(err error) bool {
	for _, kind := range []error{ErrBusy, ErrDisconnected, ErrIncompatible, ErrForeign, ErrTwoNames, ErrNotFound} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return err == nil
}

// One that stands still for long enough is overtaken by another, which takes back what it has begun.
func TestAVolumeThatAnotherControllerOvertakesIsTheOthers(t *testing.T) {
	_, _, at := two(t, testcluster.VolumeOptions{})
	slow, fast := open(t, at[0]), open(t, at[1])
	create(t, slow, spec("first")) // and the driver's own directories
	fast.recent = 0
	var theirs Record
	slow.step = func(point string) {
		if point == stepMade {
			theirs = create(t, fast, spec("vol"))
		}
	}
	_, err := slow.Create(spec("vol"))
	wants(t, err, ErrBusy)
	slow.step = func(string) {}
	if ours := create(t, slow, spec("vol")); theirs.ID == "" || !ours.Created.Equal(theirs.Created) {
		t.Errorf("%+v, but %+v is there", ours, theirs)
	}
	same(t, audit(t, at[0]), "ready first", "ready vol")
}

// Whatever two controllers do with one volume at the same moment, in whatever order: each record
// has its data and each directory its record, and what they begin comes to its end.
func TestWhateverTwoControllersDoAtOnceEndsAsOneOfThemWould(t *testing.T) {
	c, name, at := two(t, testcluster.VolumeOptions{})
	create(t, open(t, at[0]), spec("first")) // and the driver's own directories
	// In two places: GlusterFS 10.3 itself errs once in a few hundred times when two clients make one
	// directory at the same moment, and has it on one brick only, until it heals.
	specs := []Spec{spec("vol"), spec("vol")}
	specs[1].Path = "team/app/vol"
	other := spec("other") // at the place of the first
	other.Path = "vol"
	entry := func(s *Store, do func(name string) error) error {
		entries, err := s.TrashEntries()
		if err == nil && len(entries) > 0 {
			err = do(entries[0].Name)
		}
		return err
	}
	operations := map[string]func(s *Store, i int) error{
		"create":       func(s *Store, i int) error { _, err := s.Create(specs[i]); return err },
		"create other": func(s *Store, _ int) error { _, err := s.Create(other); return err },
		"delete":       func(s *Store, _ int) error { return s.Delete(background, "vol") },
		"delete other": func(s *Store, _ int) error { return s.Delete(background, "other") },
		"reap":         func(s *Store, _ int) error { _, err := s.Reap(background, 0); return err },
		"purge": func(s *Store, _ int) error {
			return entry(s, func(name string) error { return s.Purge(background, name, &Purging{}) })
		},
		"restore": func(s *Store, _ int) error {
			return entry(s, func(name string) error { _, err := s.Restore(name); return err })
		},
		"reconcile": func(s *Store, _ int) error { return s.Reconcile(background, unlocked) },
	}
	const rounds, calls = 10, 10
	for round := range rounds {
		var all sync.WaitGroup
		var mu sync.Mutex
		var log []string
		for i, mountpoint := range at {
			s := open(t, mountpoint)
			s.step = func(point string) {
				mu.Lock()
				log = append(log, fmt.Sprintf("%d: %s", i, point))
				mu.Unlock()
			}
			all.Go(func() {
				for range calls {
					for name, do := range operations { // in random order
						s.step("> " + name)
						err := do(s, i)
						s.step(fmt.Sprint("< ", name, " ", err))
						if !expected(err) {
							t.Errorf("%s: %v", name, err)
						}
						break
					}
				}
			})
		}
		all.Wait()
		alike(t, c, name)
		freshEyes(t, c, name, func(mountpoint string) {
			s, closeStore, err := openStore(mountpoint)
			if err != nil {
				t.Fatal(err)
			}
			defer closeStore()
			s.abandoned = 0
			if err := s.Reconcile(background, unlocked); err != nil {
				t.Error(err)
			}
			audit(t, mountpoint)
		})
		if t.Failed() {
			t.Log(strings.Join(log, "\n"))
			t.Fatalf("round %d", round)
		}
	}
}
