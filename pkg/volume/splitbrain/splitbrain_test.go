// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package splitbrain_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/splitbrain"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// The times of the two sides' copies, and the name that the older one's is kept by.
const (
	older, newer = 1_700_000_000, 1_700_000_100
	keptOlder    = ".split-brain-20231114T221320Z"
	keptNewer    = ".split-brain-20231114T221500Z"
)

func TestWhatTheBricksDisagreeOnIsFound(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before", "mode": "before", "both": "before", "well": "before", "deep/er/data": "before", "one": "before"})
	c.both("data", "first", "the second")
	c.both("both", "first", "the second")
	c.both("deep/er/data", "first", "the second")
	c.both("deep/made", "first", "the second")
	write(t, filepath.Join(c.sides[0], "one"), "of one side alone")
	for side, mode := range []os.FileMode{0o600, 0o640} {
		for _, name := range []string{"mode", "both"} {
			volumes.Must(t, os.Chmod(filepath.Join(c.sides[side], name), mode))
		}
		volumes.Must(t, os.Mkdir(filepath.Join(c.sides[side], "directory"), 0o755), os.Symlink("../neighbour/file", filepath.Join(c.sides[side], "link")))
		write(t, filepath.Join(c.sides[side], "directory/file"), "in it")
	}
	v, _ := c.after()
	found := c.find(v)
	want := []string{"both: data, metadata", "data: data", "deep/er/data: data", "deep/made: name", "directory: directory", "link: name", "mode: metadata"}
	if got := kinds(found); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	for _, path := range []string{"data", "both", "deep/er/data", "deep/made"} {
		f := found[path]
		if len(f.Copies) != 2 || f.Why != "" {
			t.Fatalf("%s: %+v", path, f)
		}
		for side, size := range []int64{5, 10} {
			got := f.Copies[side]
			if got.Err != nil || got.Stat.Size != size || got.Brick.Address != fmt.Sprintf("server%d:/brick", side) {
				t.Errorf("%s: the copy of side %d is %+v", path, side, got)
			}
		}
		if first, second := f.Copies[0].Changed(), f.Copies[1].Changed(); !first.Before(second) {
			t.Errorf("%s was written at %s on the first side, and then at %s on the second", path, first, second)
		}
	}
	for path, word := range map[string]string{"directory": "it is a directory", "link": "no regular file"} {
		if why := found[path].Why; !strings.Contains(why, word) || !strings.Contains(why, "source-brick HOST:PATH /app/"+path) {
			t.Errorf("%s cannot be settled: %q", path, why)
		}
		_, err := v.Settle(t.Context(), found[path], keep(t, "newest"))
		volumes.Wants(t, err, volume.ErrInvalid, word)
	}
	if _, more, err := v.Find(t.Context(), 2); more != len(want)-2 || err != nil {
		t.Errorf("beyond a limit of 2 there are %d, %v", more, err)
	}
}

// The times of both are those of their own sides: GlusterFS makes them those of one at the wrong moment.
func TestTheNewestIsTheOneThatWasWrittenLast(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before", "other": "before"})
	c.both("data", "the older", "the newer")
	write(t, filepath.Join(c.sides[1], "other"), "the older")
	write(t, filepath.Join(c.sides[0], "other"), "the newer")
	var want [2]unix.Stat_t
	for i, name := range []string{"data", "other"} {
		volumes.Must(t, unix.Stat(filepath.Join(c.sides[1-i], name), &want[i]))
	}
	v, _ := c.after()
	for path, f := range c.find(v) {
		if _, err := v.Settle(t.Context(), f, keep(t, "newest")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	root := c.root()
	for i, name := range []string{"data", "other"} {
		var st unix.Stat_t
		content, err := os.ReadFile(filepath.Join(root, "app", name))
		volumes.Must(t, err, unix.Stat(filepath.Join(root, "app", name), &st))
		if string(content) != "the newer" || st.Mtim != want[i].Mtim {
			t.Errorf("%s is %q of %v, want the newer one of %v", name, content, st.Mtim, want[i].Mtim)
		}
	}
}

func TestSettlingKeepsBothCopies(t *testing.T) {
	for _, test := range []struct {
		keep   string
		counts int
	}{{"newest", 0}, {"largest", 1}, {"brick=server1:/brick", 1}, {"brick=server0:/brick", 0}} {
		t.Run(test.keep, func(t *testing.T) {
			c := newCut(t, map[string]string{"data": "before", "sub/mode": "before", "well": "before"})
			contents := []string{"the newer", "the older, larger"}
			for side, at := range []int64{newer, older} {
				write(t, filepath.Join(c.sides[side], "data"), contents[side])
				write(t, filepath.Join(c.sides[side], "sub/made"), contents[side])
				for _, name := range []string{"data", "sub/made", "sub/mode"} {
					path := filepath.Join(c.sides[side], name)
					volumes.Must(t, os.Chmod(path, os.FileMode(0o600+side)), os.Chown(path, 1000+side, 7), unix.Setxattr(path, "user.side", []byte{byte('0' + side)}, 0))
					c.changedAt(side, name, at)
				}
			}
			v, _ := c.after()
			found := c.find(v)
			if got := kinds(found); !slices.Equal(got, []string{"data: data, metadata", "sub/made: name", "sub/mode: metadata"}) {
				t.Fatalf("found %q", got)
			}
			suffix := []string{keptOlder, keptNewer}[test.counts]
			for _, path := range slices.Sorted(maps.Keys(found)) {
				if path == "sub/mode" && test.keep == "largest" {
					_, err := v.Settle(t.Context(), found[path], keep(t, test.keep))
					volumes.Wants(t, err, volume.ErrInvalid, "brick=HOST:PATH")
					continue
				}
				settled, err := v.Settle(t.Context(), found[path], keep(t, test.keep))
				if err != nil || settled.Kept != path+suffix || settled.Counts.Address != fmt.Sprintf("server%d:/brick", test.counts) {
					t.Errorf("%s: %+v, %v", path, settled, err)
				}
			}
			wins, loses := contents[test.counts], contents[1-test.counts]
			c.has(".", map[string]string{"data": wins, "data" + suffix: loses, "well": "before"})
			sub := map[string]string{"made": wins, "made" + suffix: loses, "mode": "before", "mode" + suffix: "before"}
			if test.keep != "largest" {
				c.has("sub", sub)
				if left := c.find(v); len(left) > 0 {
					t.Errorf("left are %q", kinds(left))
				}
			}
			root := c.root()
			for name, side := range map[string]int{"data": test.counts, "data" + suffix: 1 - test.counts, "sub/made": test.counts, "sub/made" + suffix: 1 - test.counts} {
				isOfSide(t, filepath.Join(root, "app", name), side)
			}
			if content, err := os.ReadFile(filepath.Join(root, "neighbour/file")); string(content) != "the neighbour's" {
				t.Errorf("the neighbour has %q, %v", content, err)
			}
			leftNothing(t, root)
		})
	}
}

// isOfSide fails the test unless a file has owner, mode, time and attribute of one side's.
func isOfSide(t *testing.T, path string, side int) {
	t.Helper()
	var st unix.Stat_t
	value := make([]byte, 1)
	err := unix.Stat(path, &st)
	if err == nil {
		_, err = unix.Getxattr(path, "user.side", value)
	}
	at := []int64{newer, older}[side]
	if err != nil || st.Uid != uint32(1000+side) || st.Gid != 7 || st.Mode&0o7777 != uint32(0o600+side) || st.Mtim.Sec != at || value[0] != byte('0'+side) {
		t.Errorf("%s has uid %d, gid %d, mode %o, time %d, attribute %q, %v; want those of side %d", path, st.Uid, st.Gid, st.Mode, st.Mtim.Sec, value, err, side)
	}
}

// leftNothing fails the test if a copy is left in the driver's own directory.
func leftNothing(t *testing.T, root string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(root, volume.OwnDir, "split-brain/*/*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left are %q, %v", left, err)
	}
}

// stepDecided is passed where one file is to be written over another, stepLooked as the last before GlusterFS acts.
const (
	stepDecided = "split-brain: decision written down"
	stepLooked  = "split-brain: looked once more"
)

func TestSettlingThatIsKilledAtAnyStepIsRepeated(t *testing.T) {
	const last = "split-brain: settled"
	for _, point := range []string{"split-brain: copy written", "split-brain: copy has its name", "split-brain: copy kept", "split-brain: copy on disk", stepDecided, stepLooked, last} {
		t.Run(point, func(t *testing.T) {
			c := newCut(t, map[string]string{"data": "before"})
			want := map[string]string{}
			for _, name := range []string{"data", "made"} {
				if name == "made" && point == stepDecided {
					continue
				}
				c.both(name, "the winner", "the other")
				c.changedAt(0, name, newer)
				c.changedAt(1, name, older)
				want[name], want[name+keptOlder] = "the winner", "the other"
			}
			for _, name := range []string{"data", "made"} {
				if want[name] == "" {
					continue
				}
				c.killedAt(point, name)
				again, _ := c.after()
				settled, err := again.Settle(t.Context(), splitbrain.File{Path: name}, keep(t, "newest"))
				if err != nil || settled.Kept == "" != (point == last) {
					t.Errorf("%s, repeated: %+v, %v", name, settled, err)
				}
			}
			c.has(".", want)
			leftNothing(t, c.root())
		})
	}
}

// killedAt settles a file, and does not get beyond a point.
func (c *cut) killedAt(point, name string) {
	c.t.Helper()
	v, s := c.after()
	volumes.StopAt(s, point, func(*lifecycle.Volumes) {
		_, err := v.Settle(c.t.Context(), splitbrain.File{Path: name}, keep(c.t, "newest"))
		c.t.Errorf("%s: it does not pass %q: %v", name, point, err)
	})
}

// GlusterFS has begun to write the copy that counts over the other one, which is the newest by that, and its client
// died.
func TestWhatWasDecidedIsNotDecidedAnew(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before"})
	c.both("data", "the winner", "the other")
	c.changedAt(0, "data", newer)
	c.changedAt(1, "data", older)
	c.killedAt(stepDecided, "data")
	write(t, filepath.Join(c.sides[1], "data"), "the wither")
	v, _ := c.after()
	settled, err := v.Settle(t.Context(), splitbrain.File{Path: "data"}, keep(t, "newest"))
	if err != nil || settled.Counts.Address != "server0:/brick" {
		t.Errorf("%+v, %v", settled, err)
	}
	c.has(".", map[string]string{"data": "the winner", "data" + keptOlder: "the other", settled.Kept: "the wither"})
	leftNothing(t, c.root())
}

// Whichever replica set has a file, and whichever has the name of the copy that is kept.
func TestFilesOnSeveralReplicaSetsAreSettled(t *testing.T) {
	before, want := map[string]string{}, map[string]string{}
	for i := range 8 {
		before[fmt.Sprint("data", i)] = "before"
	}
	c := newCutOf(t, testcluster.VolumeOptions{Subvolumes: 2}, before)
	for i := range 8 {
		for _, name := range []string{fmt.Sprint("data", i), fmt.Sprint("made", i)} {
			c.both(name, "the winner", "the other")
			c.changedAt(0, name, newer)
			c.changedAt(1, name, older)
			want[name], want[name+keptOlder] = "the winner", "the other"
		}
	}
	v, _ := c.after()
	found := c.find(v)
	if len(found) != 16 {
		t.Errorf("found %q", kinds(found))
	}
	for path, f := range found {
		if settled, err := v.Settle(t.Context(), f, keep(t, "newest")); err != nil || settled.Kept != path+keptOlder {
			t.Errorf("%s: %+v, %v", path, settled, err)
		}
	}
	c.has(".", want)
	leftNothing(t, c.root())
}

// A pod has given the name of the kept copy to something else: it is not replaced.
func TestNothingIsReplacedByAKeptCopy(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before", "data" + keptOlder: "a pod's own", "sub/x": "x"})
	volumes.Must(t, os.Symlink("../neighbour/file", filepath.Join(c.root(), "app/data"+keptOlder+".1")))
	c.both("data", "the winner", "the other")
	c.changedAt(0, "data", newer)
	c.changedAt(1, "data", older)
	v, _ := c.after()
	settled, err := v.Settle(t.Context(), splitbrain.File{Path: "data"}, keep(t, "newest"))
	if err != nil || settled.Kept != "data"+keptOlder+".2" {
		t.Errorf("%+v, %v", settled, err)
	}
	c.has(".", map[string]string{
		"data": "the winner", "data" + keptOlder: "a pod's own", "data" + keptOlder + ".1": "the neighbour's", "data" + keptOlder + ".2": "the other",
	})
}

func TestNoLinkIsFollowedToWhatIsToBeSettled(t *testing.T) {
	c := newCut(t, map[string]string{"data": "before"})
	volumes.Must(t, os.Symlink("../neighbour", filepath.Join(c.root(), "app/link")))
	v, _ := c.after()
	for path, want := range map[string]error{"link/file": safepath.ErrLink, "../neighbour/file": nil, "nothing": fs.ErrNotExist} {
		_, found, err := v.At(t.Context(), path)
		if found || err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", path, found, err)
		}
	}
	if _, found, err := v.At(t.Context(), "data"); found || err != nil {
		t.Errorf("what the bricks agree on: %v, %v", found, err)
	}
}
