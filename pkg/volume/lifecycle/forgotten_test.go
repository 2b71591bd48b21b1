// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// One brick forgets what a call has done that was not acknowledged: all since what it remembers.

// repeated does something until nothing is under way any more.
func repeated(t *testing.T, s *lifecycle.Volumes, do func(*lifecycle.Volumes) error) {
	t.Helper()
	var err error
	for range 5 {
		if err = do(s); !errors.Is(err, volume.ErrBusy) {
			break
		}
	}
	volumes.Must(t, err)
}

// eachBrick runs a test with one brick of two, and with the other.
func eachBrick(t *testing.T, test func(t *testing.T, v *volumes.Torn, brick int)) {
	t.Helper()
	for brick, name := range []string{"the first", "the second"} {
		t.Run(name, func(t *testing.T) { test(t, volumes.NewTorn(t, testcluster.VolumeOptions{}), brick) })
	}
}

func TestADirectoryThatABrickForgotWasMovedAsideIsTakenBack(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*lifecycle.Volumes) error
		want []string
	}{{"by a creation", createSpec(crashSpec), readyTree}, {"by a deletion", deleteVolume, nil}} {
		t.Run(test.name, func(t *testing.T) {
			eachBrick(t, func(t *testing.T, v *volumes.Torn, brick int) {
				volumes.Must(t, beginVolume(v.Store))
				volumes.StopAt(v.Store, "undo: directory found", func(s *lifecycle.Volumes) { _ = test.do(s) })
				v.Remember(brick)
				volumes.StopAt(v.Store, "undo: directory moved aside", func(s *lifecycle.Volumes) { _ = test.do(s) })
				v.Forget(brick)
				repeated(t, v.Store, test.do)
				v.LookAt(filepath.Join(volume.OwnDir, "*", "??", "*"))
				v.LookAt(crashSpec.Path)
				volumes.Must(t, v.Store.Reconcile(volumes.Background, volumes.Unlocked))
				volumes.Same(t, volumes.Audit(t, v.Client.Path), slices.Clone(test.want)...)
			})
		})
	}
}

func TestADeletionThatABrickForgotHadBegunLeavesOneEntry(t *testing.T) {
	eachBrick(t, func(t *testing.T, v *volumes.Torn, brick int) {
		v.Create("vol")
		volumes.Expand(t, v.Store, "vol", 2<<30, 0, 2<<30)
		v.Remember(brick)
		volumes.StopAt(v.Store, "delete: record moved", func(s *lifecycle.Volumes) { _ = s.Delete(volumes.Background, "vol") })
		v.Forget(brick)
		repeated(t, v.Store, deleteVolume)
		v.LookAt(filepath.Join(volume.OwnDir, owndir.TrashDir, "??", "*"))
		volumes.Must(t, v.Store.Reconcile(volumes.Background, volumes.Unlocked))
		volumes.Same(t, volumes.Audit(t, v.Client.Path), "trash vol")
	})
}

func TestARestorationThatABrickForgotIsRestoredAfterTheCure(t *testing.T) {
	eachBrick(t, func(t *testing.T, v *volumes.Torn, brick int) {
		r := v.Create("vol")
		volumes.Must(t, v.Store.Delete(volumes.Background, "vol"))
		entry := v.Entry()
		v.Remember(brick)
		volumes.StopAt(v.Store, "restore: data moved back", func(s *lifecycle.Volumes) { _, _ = s.Trash.Restore(entry) })
		v.Forget(brick)
		_, err := v.Store.Trash.Restore(entry)
		volumes.Wants(t, err, volume.ErrTwoNames, "volume check")
		v.Cure(v.HasTwo("vol").Cure)
		_, err = v.Store.Trash.Restore(entry)
		volumes.Must(t, err)
		v.Alike(r.GFID, "/vol")
		volumes.Finds(t, v.Store, false)
	})
}

// What a brick alone has is in no list that another gives, and its directory is not empty there.
func TestAPurgeThatABrickForgotLeavesNothing(t *testing.T) {
	for _, step := range []string{"reap: entry doomed", "reap: data removed"} {
		t.Run(step, func(t *testing.T) {
			eachBrick(t, func(t *testing.T, v *volumes.Torn, brick int) {
				v.Create("vol")
				volumes.Must(t, v.Store.Delete(volumes.Background, "vol"))
				data := filepath.Join(v.Client.Path, volumes.TrashFile(v.Entry()))
				volumes.StopAt(v.Store, "reap: entry doomed", func(s *lifecycle.Volumes) { _ = purgeOnly(s) })
				v.Remember(brick)
				if step == "reap: data removed" {
					volumes.StopAt(v.Store, step, func(s *lifecycle.Volumes) { _ = purgeOnly(s) })
				} else {
					volumes.Must(t, os.Remove(filepath.Join(data, "sub", "1")), os.Remove(filepath.Join(data, "sub", "deeper")))
				}
				v.Forget(brick)
				repeated(t, v.Store, purgeOnly)
				v.LookAt(filepath.Join(volume.OwnDir, owndir.TrashDir, "??", "*"))
				volumes.Same(t, volumes.Audit(t, v.Client.Path))
			})
		})
	}
}
