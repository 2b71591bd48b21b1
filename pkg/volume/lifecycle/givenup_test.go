// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// giveCopyUp is what the reconciler of another controller does that has seen before that nobody asks for the copy, and
// its reaper then.
func giveCopyUp(s *lifecycle.Volumes) error {
	st, err := s.Clones().Find("vol")
	if err == nil {
		err = s.Clones().GiveUp(st)
	}
	return errors.Join(err, reapCopies(s))
}

func reapCopies(s *lifecycle.Volumes) error {
	_, err := copying.Reap(volumes.Background, s.Store)
	return err
}

// A copy that another controller gives up while it becomes a volume becomes one with all that was copied, or none.
func TestACopyThatIsGivenUpWhileItBecomesAVolume(t *testing.T) {
	prepare := func(s *lifecycle.Volumes) { volumes.Must(t, makeCopy(s)) }
	var made error
	complete := func(s *lifecycle.Volumes) error {
		_, made = s.Create(cloned())
		return made
	}
	check := func(mountpoint string) {
		s := volumes.Open(t, mountpoint)
		reapErr := reapCopies(s)
		data, err := os.ReadFile(filepath.Join(mountpoint, cloned().Path, "data"))
		if made == nil && (err != nil || string(data) != "dear") {
			t.Errorf("the volume was made, and has %q: %v, %v", data, err, reapErr)
		}
		if made != nil { // it is asked for again, and copied anew where nothing is left
			if err := complete(s); errors.Is(err, volume.ErrBusy) {
				volumes.Must(t, makeCopy(s), complete(s))
			}
		}
		volumes.Must(t, reapCopies(s))
		volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "directory team/app", "ready vol")
	}
	t.Run("at each point of the creation", func(t *testing.T) { atEachPoint(t, prepare, complete, giveCopyUp, check) })
	t.Run("at each point of the other", func(t *testing.T) { atEachPoint(t, prepare, giveCopyUp, complete, check) })
}

// Another controller that takes a creation back has moved its record aside, and has not seen yet that it is complete.
func TestACopyIsNotRemovedWhileTheRecordOfItsVolumeIsAside(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Must(t, makeCopy(s))
	volumes.StopAt(s, "create: record complete", func(s *lifecycle.Volumes) { _, _ = s.Create(cloned()) })
	f, err := s.Find("vol")
	volumes.Must(t, err)
	s.Step = func(point string) {
		if point == "undo: claim renamed" {
			volumes.Wants(t, giveCopyUp(volumes.Open(t, mountpoint)), volume.ErrForeign, "directory of volume vol, which is there")
		}
	}
	volumes.Must(t, s.Creations.Undo(creation.HalfMadeVolume(f)))
	volumes.Wants(t, createSpec(cloned())(s), volume.ErrBusy, "given up what was copied")
	volumes.Must(t, reapCopies(s))
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

// One that stands still before it moves a copy into the place of its volume does not move it into the next volume's,
// whose directory is empty.
func TestACopyIsNotMovedIntoTheNextVolumesPlace(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Must(t, makeCopy(s))
	next := volumes.Spec("next")
	next.Path = cloned().Path
	met := false
	s.Step = func(point string) {
		if point != "names: directory seen" || met {
			return
		}
		met = true
		other := volumes.Open(t, mountpoint)
		st, err := other.Clones().Find("vol")
		volumes.Must(t, err)
		volumes.StopAt(other, "copy: claim moved aside", func(other *lifecycle.Volumes) { _ = other.Clones().GiveUp(st) })
		_, err = other.Create(cloned())
		volumes.Wants(t, err, volume.ErrBusy, "given up what was copied")
		volumes.Create(t, other, next)
	}
	_, err := s.Create(cloned())
	volumes.Wants(t, err, volume.ErrBusy)
	volumes.Must(t, reapCopies(s))
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "directory team/app", "ready next")
}

// A volume that is taken back because its copy was given up is so by whoever comes next, at whatever point that stopped:
// the reconciler, or who asks for the volume again.
func TestTheTakingBackOfAVolumeWithoutItsCopyIsFinished(t *testing.T) {
	reconcile := func(s *lifecycle.Volumes) error { return s.Reconcile(volumes.Background, volumes.Unlocked) }
	for name, next := range map[string]func(*lifecycle.Volumes) error{"reconciled": reconcile, "asked for": nothing} {
		for _, point := range []string{"undo: claim renamed", "undo: directory removed", "undo: path given up"} {
			t.Run(name+", "+point, func(t *testing.T) {
				s, mountpoint := volumes.OnGV0(t)
				volumes.Must(t, makeCopy(s))
				volumes.StopAt(s, "create: record complete", func(s *lifecycle.Volumes) { _, _ = s.Create(cloned()) })
				volumes.Wants(t, giveCopyUp(volumes.Open(t, mountpoint)), volume.ErrForeign, "directory of volume vol, which is there")
				volumes.StopAt(s, point, func(s *lifecycle.Volumes) { _, _ = s.Create(cloned()) })
				s.Abandoned, s.Recent = 0, 0
				volumes.Must(t, next(s))
				_, err := s.Create(cloned())
				volumes.Wants(t, err, volume.ErrBusy)
				volumes.Must(t, makeCopy(s), createSpec(cloned())(s), reapCopies(s), reconcile(s))
				volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "directory team/app", "ready vol")
			})
		}
	}
}
