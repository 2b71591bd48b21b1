// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// One brick forgets what a call has done that was not acknowledged: all since what it remembers.

// repeated does something until nothing is under way any more.
func (v *torn) repeated(do func(*Store) error) {
	v.t.Helper()
	var err error
	for range 5 {
		if err = do(v.store); !errors.Is(err, ErrBusy) {
			break
		}
	}
	must(v.t, err)
}

// seen has names looked at that one brick has: GlusterFS brings them to the other.
func (v *torn) seen(pattern string) {
	v.t.Helper()
	for i := range v.bricks() {
		names, err := filepath.Glob(filepath.Join(v.BrickPath(v.name, i), pattern))
		must(v.t, err)
		for _, name := range names {
			rel, err := filepath.Rel(v.BrickPath(v.name, i), name)
			must(v.t, err)
			_, err = os.Lstat(filepath.Join(v.mount.Path, rel))
			must(v.t, err)
		}
	}
}

func TestADirectoryThatABrickForgotWasMovedAsideIsTakenBack(t *testing.T) {
	for brick, name := range []string{"the first", "the second"} {
		t.Run(name, func(t *testing.T) {
			v := newTorn(t, testcluster.VolumeOptions{})
			cut(v.store, stepMode, func(s *Store) { _, _ = s.Create(spec("vol")) })
			v.remembers(brick)
			cut(v.store, stepDirAside, func(s *Store) { _, _ = s.Create(spec("vol")) })
			v.forgets(brick)
			v.repeated(createSpec(spec("vol")))
			must(t, v.store.Reconcile(background, unlocked))
			same(t, audit(t, v.mount.Path), "ready vol")
		})
	}
}

func TestADeletionThatABrickForgotHadBegunLeavesOneEntry(t *testing.T) {
	for brick, name := range []string{"the first", "the second"} {
		t.Run(name, func(t *testing.T) {
			v := newTorn(t, testcluster.VolumeOptions{})
			v.volume("vol")
			must(t, func() error { _, err := v.store.Expand("vol", 2<<30, 0); return err }())
			v.remembers(brick)
			cut(v.store, stepFiled, func(s *Store) { _ = s.Delete(background, "vol") })
			v.forgets(brick)
			v.repeated(deleteVolume)
			v.seen(filepath.Join(ownDir, trashDir, "??", "*"))
			must(t, v.store.Reconcile(background, unlocked))
			same(t, audit(t, v.mount.Path), "trash vol")
		})
	}
}

func TestARestorationThatABrickForgotIsRestoredAfterTheCure(t *testing.T) {
	for brick, name := range []string{"the first", "the second"} {
		t.Run(name, func(t *testing.T) {
			v := newTorn(t, testcluster.VolumeOptions{})
			r := v.volume("vol")
			must(t, v.store.Delete(background, "vol"))
			entry := v.entry()
			v.remembers(brick)
			cut(v.store, stepReturned, func(s *Store) { _, _ = s.Restore(entry) })
			v.forgets(brick)
			_, err := v.store.Restore(entry)
			wants(t, err, ErrTwoNames, "volume check")
			v.cure(v.hasTwo("vol").Cure)
			must(t, func() error { _, err := v.store.Restore(entry); return err }())
			v.alike(r.GFID, "/vol")
			finds(t, v.store, false)
		})
	}
}
