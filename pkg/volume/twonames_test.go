// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// torn is a Gluster volume of which one brick forgets what was done last, as a power cut makes it: GlusterFS does not
// know that, since the bricks had agreed when it was done.
type torn struct {
	*testcluster.Cluster

	t       *testing.T
	name    string
	options testcluster.VolumeOptions
	mount   *testcluster.RawMount // as the controller's client, which believes no name
	store   *Store
}

func newTorn(t *testing.T, options testcluster.VolumeOptions) *torn {
	t.Helper()
	c, name, _ := fresh(t, options)
	m, err := c.Mount(t.Context(), name, gluster.Arguments(name, []string{gluster.FreshNames})...)
	must(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	v := &torn{Cluster: c, t: t, name: name, options: options, mount: m, store: open(t, m.Path)}
	v.store.recent, v.store.abandoned, v.store.earliest = 0, 0, 0
	return v
}

// remembers keeps what bricks have now, all of their bookkeeping included, and forgets makes them what they were then.
func (v *torn) remembers(bricks ...int) {
	v.t.Helper()
	for _, i := range bricks {
		v.run("cp", "-a", v.BrickPath(v.name, i), v.before(i))
	}
}

func (v *torn) forgets(bricks ...int) {
	v.t.Helper()
	for _, i := range bricks {
		must(v.t, v.KillBrick(v.name, i), os.RemoveAll(v.BrickPath(v.name, i)), os.Rename(v.before(i), v.BrickPath(v.name, i)))
	}
	v.back(bricks...)
}

func (v *torn) before(i int) string { return v.BrickPath(v.name, i) + ".before" }

// back starts bricks that were killed.
func (v *torn) back(bricks ...int) {
	v.t.Helper()
	for _, i := range bricks {
		must(v.t, v.StartBrick(v.name, i))
		testcluster.Eventually(v.t, time.Minute, func() error { return testcluster.Connected(v.mount.Path, v.name, i) })
	}
}

func (v *torn) run(name string, args ...string) {
	v.t.Helper()
	if out, err := exec.CommandContext(v.t.Context(), name, args...).CombinedOutput(); err != nil {
		v.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

// volume makes one with data in it.
func (v *torn) volume(id string) Record {
	v.t.Helper()
	r := create(v.t, v.store, spec(id))
	at := filepath.Join(v.mount.Path, r.Path)
	must(v.t, os.MkdirAll(filepath.Join(at, "sub/deeper"), 0o755))
	for i := range 5 {
		must(v.t, os.WriteFile(filepath.Join(at, "sub", fmt.Sprint(i)), []byte("dear"), 0o600))
	}
	return r
}

func (v *torn) entry() string {
	v.t.Helper()
	entries, err := v.store.TrashEntries()
	if err != nil || len(entries) != 1 {
		v.t.Fatalf("%d trash entries, %v", len(entries), err)
	}
	return entries[0].Name
}

// data is what a brick has in the directory with a gfid, wherever that is: files with their content. It fails the test
// unless the brick has the directory once.
func (v *torn) data(brick int, gfid string) map[string]string {
	v.t.Helper()
	top := v.BrickPath(v.name, brick)
	found := map[string]string{}
	at := v.at(brick, gfid)
	if at == "" {
		v.t.Fatalf("brick %d does not have the directory once", brick)
	}
	must(v.t, filepath.WalkDir(top+at, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			found[strings.TrimPrefix(path, top+at)] = "directory"
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, top+at)] = string(content)
		return err
	}))
	return found
}

// at is where a brick has the directory with a gfid; "" if it has it not once.
func (v *torn) at(brick int, gfid string) string {
	v.t.Helper()
	var found []string
	for path, have := range directories(v.t, v.BrickPath(v.name, brick)) {
		if have == strings.ReplaceAll(gfid, "-", "") {
			found = append(found, path)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// bricks is how many there are.
func (v *torn) bricks() int {
	if v.options.Arbiter {
		return 3
	}
	return 2 * max(1, v.options.Subvolumes)
}

// all is what data gives of each brick.
func (v *torn) all(gfid string) []map[string]string {
	v.t.Helper()
	var all []map[string]string
	for i := range v.bricks() {
		all = append(all, v.data(i, gfid))
	}
	return all
}

// cureForm is how Check says what to do.
var cureForm = regexp.MustCompile("on [^ ]+, with brick ([^ ]+) stopped, `([^`]+)`")

// cure does what Check says of one problem, as a person would do it.
func (v *torn) cure(says string) {
	v.t.Helper()
	matches := cureForm.FindAllStringSubmatch(says, -1)
	if len(matches) == 0 {
		v.t.Fatalf("it names no command: %s", says)
	}
	for _, match := range matches {
		i := slices.IndexFunc(v.numbers(), func(i int) bool { return v.BrickPath(v.name, i) == match[1] })
		must(v.t, v.KillBrick(v.name, i))
		v.t.Log(match[2])
		v.run("sh", "-c", match[2])
		v.back(i)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	must(v.t, v.AwaitHeal(ctx, v.name))
}

func (v *torn) numbers() []int {
	var numbers []int
	for i := range v.bricks() {
		numbers = append(numbers, i)
	}
	return numbers
}

// hasTwo is the one problem that Check finds: a directory with two names.
func (v *torn) hasTwo(subject string) Problem {
	v.t.Helper()
	problems, err := v.store.Check(background)
	if err != nil || len(problems) != 1 || problems[0].Kind != TwoNames || stampedID(problems[0].Subject) != subject || problems[0].Repairable() {
		v.t.Fatalf("Check finds %+v, %v; want that %s has two names", problems, err, subject)
	}
	return problems[0]
}

// alike fails the test unless all bricks of a set have the same, with the directory of the volume in one place.
func (v *torn) alike(gfid, at string) {
	v.t.Helper()
	for i := range v.bricks() {
		testcluster.Eventually(v.t, time.Minute, func() error {
			first, have := directories(v.t, v.BrickPath(v.name, 0)), directories(v.t, v.BrickPath(v.name, i))
			if !maps.Equal(first, have) {
				return fmt.Errorf("brick 0 has %v, brick %d %v", first, i, have)
			}
			return nil
		})
		if got := v.at(i, gfid); got != at {
			v.t.Errorf("brick %d has the directory at %q, want %q", i, got, at)
		}
		link, err := os.Readlink(filepath.Join(v.BrickPath(v.name, i), ".glusterfs", gfid[:2], gfid[2:4], gfid))
		if err != nil || path.Base(link) != path.Base(at) {
			v.t.Errorf("brick %d finds it at %q, %v", i, link, err)
		}
	}
	if all := v.all(gfid); !v.options.Arbiter && !maps.Equal(all[0], all[1]) {
		v.t.Errorf("brick 0 has %v, brick 1 %v", all[0], all[1])
	}
}

// A restoration that one brick has forgotten: the volume is in use, and one brick has it in the trash, where it is due.
func TestALiveVolumeThatABrickHasInTheTrashIsLeftAlone(t *testing.T) {
	for name, test := range map[string]struct {
		options  testcluster.VolumeOptions
		forgets  []int
		outvoted bool // by the two other bricks: then the record in the trash may not be seen
	}{
		"replica 2": {options: testcluster.VolumeOptions{}, forgets: []int{0}},
		"the other": {options: testcluster.VolumeOptions{}, forgets: []int{1}},
		"arbiter":   {options: testcluster.VolumeOptions{Arbiter: true}, forgets: []int{0}, outvoted: true},
		"2x2":       {options: testcluster.VolumeOptions{Subvolumes: 2}, forgets: []int{0, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newTorn(t, test.options)
			r := v.volume("vol")
			must(t, v.store.Delete(background, "vol"))
			entry := v.entry()
			v.remembers(test.forgets...)
			must(t, restoreOnly(v.store))
			v.forgets(test.forgets...)
			if got := v.at(test.forgets[0], r.GFID); got != "/.glusterfs-csi/trash/"+entry {
				t.Fatalf("the brick has it at %q", got)
			}

			publish(t, v.store, Access{ID: "vol"})
			must(t, os.WriteFile(filepath.Join(v.mount.Path, "vol/new"), []byte("new"), 0o600))
			before := v.all(r.GFID)
			const intervals = 10
			for i := range intervals {
				n, err := v.store.Reap(background, 0)
				if n != 0 || err == nil && i > 0 && !test.outvoted {
					t.Errorf("%d were reaped, %v", n, err)
				}
				if err != nil && !test.outvoted {
					wants(t, err, ErrForeign, entry, "vol")
				}
				err = v.store.Purge(background, entry, &Purging{}) // asks for the record by name, which heals it
				if !test.outvoted || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDisconnected) {
					wants(t, err, ErrForeign)
				}
				must(t, v.store.Reconcile(background, unlocked))
				v.hasTwo("vol")
				publish(t, v.store, Access{ID: "vol"})
			}
			if _, err := v.store.Restore(entry); err != nil { // to its end
				if !test.outvoted {
					t.Error(err)
				}
				wants(t, err, ErrDisconnected)
			}
			for range intervals {
				if n, err := v.store.Reap(background, 0); n != 0 || err != nil && !test.outvoted {
					t.Errorf("%d were reaped, %v", n, err)
				}
				must(t, v.store.Reconcile(background, unlocked))
			}
			problem := v.hasTwo("vol")
			for i, after := range v.all(r.GFID) {
				if !maps.Equal(before[i], after) {
					t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
				}
			}
			publish(t, v.store, Access{ID: "vol"})

			live, _, _ := strings.Cut(problem.Cure, "; if none does")
			v.cure(live)
			finds(t, v.store, false)
			v.alike(r.GFID, "/vol")
			if _, err := v.store.Reap(background, 0); err != nil { // forgets the entry, if it is still there
				t.Error(err)
			}
			if got := v.all(r.GFID); !maps.Equal(got[0], before[0]) {
				t.Errorf("brick 0 has %v now, and had %v", got[0], before[0])
			}
			freshEyes(t, v.Cluster, v.name, func(mountpoint string) {
				same(t, audit(t, mountpoint), "directory vol/sub", "directory vol/sub/deeper", "ready vol")
			})
		})
	}
}

// A deletion that one brick has forgotten, wholly or after the record's rename.
func TestADeletedVolumeThatABrickHasInItsPlaceIsDeletedByTheCure(t *testing.T) {
	for name, point := range map[string]string{"of which nothing is known": "", "of which the record is known": stepFiled} {
		t.Run(name, func(t *testing.T) {
			v := newTorn(t, testcluster.VolumeOptions{})
			r := v.volume("vol")
			if point == "" {
				v.remembers(0)
			}
			v.store.step = func(at string) {
				if at == point {
					v.remembers(0)
				}
			}
			must(t, v.store.Delete(background, "vol"))
			entry := v.entry()
			v.forgets(0)
			if got := v.at(0, r.GFID); got != "/vol" {
				t.Fatalf("the brick has it at %q", got)
			}
			before := v.all(r.GFID)
			for i := range 10 {
				n, err := v.store.Reap(background, 0)
				if n != 0 || err == nil && i > 0 { // the first list may be of the brick that has forgotten
					t.Errorf("%d were reaped, %v", n, err)
				}
				if err := v.store.Purge(background, entry, &Purging{}); !errors.Is(err, ErrForeign) && !errors.Is(err, ErrTwoNames) {
					t.Errorf("purge: %v", err)
				}
				if point != "" { // where the record is the volume's, too, it is there
					_, err = v.store.Restore(entry)
					wants(t, err, ErrTwoNames, "vol", "volume check")
				}
				must(t, v.store.Reconcile(background, unlocked))
				v.hasTwo("vol")
			}
			for i, after := range v.all(r.GFID) {
				if !maps.Equal(before[i], after) {
					t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
				}
			}
			cure := v.hasTwo("vol").Cure
			if point == "" {
				_, cure, _ = strings.Cut(cure, "; if none does")
			}
			v.cure(cure)
			if point == "" {
				finds(t, v.store, true, "no-directory vol")
			}
			finds(t, v.store, false)
			v.alike(r.GFID, "/.glusterfs-csi/trash/"+entry)
			freshEyes(t, v.Cluster, v.name, func(mountpoint string) { same(t, audit(t, mountpoint), "trash vol") })
			must(t, restoreOnly(v.store))
			v.alike(r.GFID, "/vol")
			publish(t, v.store, Access{ID: "vol"})
		})
	}
}

// Somebody has taken a deleted volume's data out of the trash by hand, and one brick has forgotten that.
func TestWhatWasTakenOutOfTheTrashIsNotRemovedThroughItsOtherName(t *testing.T) {
	v := newTorn(t, testcluster.VolumeOptions{})
	r := v.volume("vol")
	must(t, v.store.Delete(background, "vol"))
	entry := v.entry()
	v.remembers(0)
	must(t, os.Rename(filepath.Join(v.mount.Path, ownDir, trashDir, entry), filepath.Join(v.mount.Path, "rescued")))
	v.forgets(0)
	before := v.all(r.GFID)
	for range 2 {
		n, err := v.store.Reap(background, 0)
		if n != 0 {
			t.Error("it was reaped")
		}
		wants(t, err, ErrTwoNames, "rescued")
		wants(t, v.store.Purge(background, entry, &Purging{}), ErrTwoNames)
	}
	v.hasTwo("vol")
	for i, after := range v.all(r.GFID) {
		if !maps.Equal(before[i], after) {
			t.Errorf("brick %d has %v now, and had %v", i, after, before[i])
		}
	}
}

// What is in the trash may have become the directory of another volume by hand.
func TestTheReaperKnowsALiveVolumeByItsGFID(t *testing.T) {
	for name, id := range map[string]string{"of another name": "adopted", "of the same name": "vol"} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := newStore(t)
			r := create(t, s, spec("vol"))
			must(t, os.WriteFile(filepath.Join(mountpoint, "vol/dear"), nil, 0o600), s.Delete(background, "vol"))
			entries, err := s.TrashEntries()
			must(t, err)
			other := newRecord(spec(id))
			other.Path, other.Origin, other.GFID = "mine", Adopted, r.GFID
			must(t, os.WriteFile(filepath.Join(mountpoint, ownDir, volumesDir, id+recordSuffix), other.encode(), 0o600))
			n, err := s.Reap(background, 0)
			if n != 0 {
				t.Error("it was reaped")
			}
			wants(t, err, ErrForeign, "volume "+id)
			wants(t, s.Purge(background, entries[0].Name, &Purging{}), ErrForeign, "volume "+id)
			if _, err := os.Stat(filepath.Join(mountpoint, ownDir, trashDir, entries[0].Name, "dear")); err != nil {
				t.Error(err)
			}
			// Once that volume is gone, the entry goes.
			must(t, os.Remove(filepath.Join(mountpoint, ownDir, volumesDir, id+recordSuffix)))
			if n, err := s.Reap(background, 0); n != 1 || err != nil {
				t.Errorf("reaped %d, %v", n, err)
			}
			same(t, audit(t, mountpoint))
		})
	}
}

// A brick may bring back the trash entry of a restored volume without its data. With the entry goes nothing of the volume.
func TestAStaleEntryDoesNotTakeAlongTheGFIDOfAVolumeOfTheFirstVersion(t *testing.T) {
	s, mountpoint := newStore(t)
	s.recent, s.abandoned = 0, 0
	makeSchema1(t, s, "old", "old")
	publish(t, s, Access{ID: "old"}) // takes it over
	must(t, s.Delete(background, "old"))
	entries, err := s.TrashEntries()
	must(t, err, restoreOnly(s), unix.Removexattr(filepath.Join(mountpoint, "old"), markXattr),
		os.Link(filepath.Join(mountpoint, ownDir, volumesDir, "old.json"), filepath.Join(mountpoint, ownDir, trashDir, entries[0].Name+recordSuffix)))
	if n, err := s.Reap(background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	publish(t, s, Access{ID: "old"})
	finds(t, s, false)
	same(t, audit(t, mountpoint), "ready old")
}
