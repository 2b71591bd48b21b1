// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package splitbrain_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/splitbrain"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// onceAt calls do when a point is passed first.
func onceAt(s *lifecycle.Volumes, point string, do func()) {
	s.Step = func(at string) {
		if at == point && do != nil {
			now := do
			do = nil
			now()
		}
	}
}

// writeThrough writes a file on one side, and returns when its brick has that.
func (c *cut) writeThrough(side int, name, content string) {
	c.t.Helper()
	path := filepath.Join(c.sides[side], name)
	write(c.t, path, content)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	volumes.Must(c.t, err)
	volumes.Must(c.t, file.Sync(), file.Close())
}

// split makes a file that each side has, the one of server0 being the newest and the largest.
func (c *cut) split(names ...string) {
	c.t.Helper()
	for _, name := range names {
		c.both(name, "the winner", "the other")
		c.changedAt(0, name, newer)
		c.changedAt(1, name, older)
	}
}

// A pod that is still on one side of a cut writes to the copy that was kept already.
func TestWhatIsWrittenWhileAFileIsSettledIsInACopy(t *testing.T) {
	const starts = "the client starts"
	for moment, names := range map[string][]string{starts: {"data", "made"}, stepDecided: {"data"}, "split-brain: copy on disk": {"made"}} {
		t.Run(moment, func(t *testing.T) {
			c := newCut(t, map[string]string{"data": "before"})
			c.split(names...)
			want := map[string]string{}
			if moment != starts && names[0] != "data" {
				want["data"] = "before"
			}
			for _, name := range names {
				v, s := c.after()
				later := func() { c.writeThrough(1, name, "later") }
				if moment == starts {
					c.starts = func() { c.starts = nil; later() }
				} else {
					onceAt(s, moment, later)
				}
				if settled, err := v.Settle(t.Context(), splitbrain.File{Path: name}, keep(t, "newest")); !errors.Is(err, volume.ErrBusy) {
					t.Errorf("%s: %+v, %v, want that it changes", name, settled, err)
				}
				settled, err := v.Settle(t.Context(), splitbrain.File{Path: name}, keep(t, "largest"))
				if err != nil || settled.Counts.Address != "server0:/brick" {
					t.Errorf("%s, repeated: %+v, %v", name, settled, err)
				}
				want[name], want[settled.Kept] = "the winner", "later"
				if moment != starts { // else it was kept before
					want[name+keptOlder] = "the other"
				}
			}
			c.has(".", want)
			leftNothing(t, c.root())
		})
	}
}

// That the time of the other file is set back afterwards, as `cp -p` does, does not hide that it was changed.
func TestTheFileThatWasToCountIsKeptIfGlusterFSChoosesTheOther(t *testing.T) {
	for name, c := range map[string]struct{ isKilled, isSetBack bool }{"goes on": {}, "killed": {isKilled: true}, "time set back": {isSetBack: true}} {
		t.Run(name, func(t *testing.T) { theOtherIsChosen(t, c.isKilled, c.isSetBack) })
	}
}

func theOtherIsChosen(t *testing.T, isKilled, isSetBack bool) {
	c := newCut(t, map[string]string{"well": "before"})
	c.split("made")
	if isSetBack {
		c.changedAt(0, "made", newer) // which is a change, too: the last one
	}
	v, s := c.after()
	later := func() {
		c.writeThrough(1, "made", "later")
		if isSetBack {
			c.changedAt(1, "made", older)
		}
	}
	onceAt(s, stepLooked, later)
	settle := func() {
		settled, err := v.Settle(t.Context(), splitbrain.File{Path: "made"}, keep(t, "newest"))
		if !errors.Is(err, volume.ErrBusy) || settled.Kept != "made"+keptNewer || settled.Counts.Address != "server1:/brick" {
			t.Errorf("%+v, %v", settled, err)
		}
	}
	if isKilled {
		s.Step = func(at string) {
			switch at {
			case stepLooked:
				later()
			case "split-brain: settled":
				panic("killed")
			}
		}
		func() {
			defer func() { _ = recover() }()
			settle()
			t.Error("it was not killed")
		}()
		again, _ := c.after()
		settled, err := again.Settle(t.Context(), splitbrain.File{Path: "made"}, keep(t, "newest"))
		if err != nil || settled.Kept != "made"+keptNewer {
			t.Errorf("repeated: %+v, %v", settled, err)
		}
	} else {
		settle()
	}
	c.has(".", map[string]string{"well": "before", "made": "later", "made" + keptOlder: "the other", "made" + keptNewer: "the winner"})
	leftNothing(t, c.root())
}

// A file was settled, and who did it was killed before the decision was removed. Later its mode differs.
func TestADecisionIsOfOneSplitBrain(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before"})
	c.split("data")
	c.killedAt("split-brain: settled", "data")
	for side, mode := range []uint32{0o600, 0o640} {
		volumes.Must(t, unix.Chmod(filepath.Join(c.sides[side], "data"), mode))
	}
	v, _ := c.after()
	if found := c.find(v); found["data"].Kind != splitbrain.Metadata {
		t.Fatalf("found %q", kinds(found))
	}
	settled, err := v.Settle(t.Context(), splitbrain.File{Path: "data"}, keep(t, "brick=server1:/brick"))
	if err != nil || settled.Counts.Address != "server1:/brick" {
		t.Errorf("%+v, %v", settled, err)
	}
	leftNothing(t, c.root())
}

func TestADecisionOfAnotherProcessStays(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before"})
	c.split("data")
	v, s := c.after()
	onceAt(s, "split-brain: copy on disk", func() {
		other, o := c.after()
		volumes.StopAt(o, stepDecided, func(*lifecycle.Volumes) {
			_, err := other.Settle(t.Context(), splitbrain.File{Path: "data"}, keep(t, "brick=server1:/brick"))
			t.Errorf("the other is not stopped: %v", err)
		})
	})
	_, err := v.Settle(t.Context(), splitbrain.File{Path: "data"}, keep(t, "newest"))
	volumes.Wants(t, err, volume.ErrBusy)
	settled, err := v.Settle(t.Context(), splitbrain.File{Path: "data"}, keep(t, "newest"))
	if err != nil || settled.Counts.Address != "server1:/brick" {
		t.Errorf("after the other has decided: %+v, %v", settled, err)
	}
}

func TestAnAttemptThatFailsLeavesNothingAside(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before"})
	c.split("data")
	v, s := c.after()
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := v.Settle(ended, splitbrain.File{Path: "data"}, keep(t, "newest"))
	volumes.Wants(t, err, context.Canceled)
	leftNothing(t, c.root())
	onceAt(s, "split-brain: copy written", func() {
		dir := filepath.Join(c.root(), "app")
		for n := range 100 {
			name := "data" + keptOlder
			if n > 0 {
				name += fmt.Sprintf(".%d", n)
			}
			write(t, filepath.Join(dir, name), "a pod's own")
		}
	})
	_, err = v.Settle(t.Context(), splitbrain.File{Path: "data"}, keep(t, "newest"))
	volumes.Wants(t, err, volume.ErrInvalid, "move them away")
	leftNothing(t, c.root())
}

func TestWhatKilledAttemptsLeftIsRemovedADayLater(t *testing.T) {
	c := newCut(t, map[string]string{"decided": "before", "written": "before", "linked": "before"})
	c.split("decided", "written", "linked")
	c.killedAt(stepDecided, "decided")
	c.killedAt("split-brain: copy written", "written")
	c.killedAt("split-brain: copy has its name", "linked")
	_, s := c.after()
	reconcile := func() {
		t.Helper()
		volumes.Must(t, s.Reconcile(t.Context(), func(string) (func(), bool) { return func() {}, true }))
	}
	s.Abandoned = time.Hour
	reconcile()
	reconcile()
	root := c.root()
	if left, err := filepath.Glob(filepath.Join(root, volume.OwnDir, "split-brain/*/*")); err != nil || len(left) != 3 {
		t.Errorf("at once, left are %q, %v", left, err)
	}
	s.Abandoned = time.Nanosecond
	reconcile()
	leftNothing(t, c.root())
	if content, err := os.ReadFile(filepath.Join(root, "app/linked"+keptOlder)); string(content) != "the other" {
		t.Errorf("the kept copy is %q, %v", content, err)
	}
}

// A directory of a volume may be another one that has not been taken over.
func TestNothingOfAnotherVolumeIsSettled(t *testing.T) {
	c := newCut(t, map[string]string{"nested/file": "before"})
	volumes.Must(t, unix.Setxattr(filepath.Join(c.root(), "app/nested"), store.MarkXattr, []byte("other.20260101T000000Z"), 0))
	v, _ := c.after()
	_, err := v.Settle(t.Context(), splitbrain.File{Path: "nested/file"}, keep(t, "newest"))
	volumes.Wants(t, err, volume.ErrNested)
}

// On a full Gluster volume there may be room for a file and none for a directory. Nobody looks for a decision, or for a file that was set
// aside, in the one for all, which another volume's files have made.
func TestWithoutRoomForItsDirectoryNothingIsWrittenAside(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before"})
	c.split("data", "made")
	v, _ := c.after()
	all := filepath.Join(c.root(), volume.OwnDir, "split-brain")
	volumes.Must(t, os.Mkdir(all, 0o700))
	t.Run("full", func(t *testing.T) {
		for brick := range c.cluster.Bricks(c.name) {
			c.cluster.FailCall(t, c.name, brick, "?mkdir,mkdirat", filepath.Join(volume.OwnDir, "split-brain", volumes.ShardOf(c.record.ID)), "ENOSPC")
		}
		for _, name := range []string{"data", "made"} {
			_, err := v.Settle(t.Context(), splitbrain.File{Path: name}, keep(t, "newest"))
			volumes.Wants(t, err, volume.ErrNoSpace)
		}
		if left, err := os.ReadDir(all); err != nil || len(left) > 0 {
			t.Errorf("left are %v, %v", left, err)
		}
	})
	for _, name := range []string{"data", "made"} {
		if settled, err := v.Settle(t.Context(), splitbrain.File{Path: name}, keep(t, "newest")); err != nil || settled.Kept != name+keptOlder {
			t.Errorf("%s: %+v, %v", name, settled, err)
		}
	}
	leftNothing(t, c.root())
}
