// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volumes

import (
	"context"
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

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/check"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Torn is a Gluster volume of which one brick forgets what was done last, as a power cut makes it: GlusterFS does not
// know that, since the bricks had agreed when it was done.
type Torn struct {
	*testcluster.Cluster

	Name   string
	Client *testcluster.RawMount // as the controller's, which believes no name
	Store  *lifecycle.Volumes    // waits for nobody

	t       *testing.T
	options testcluster.VolumeOptions
}

// NewTorn is one of the test's own.
func NewTorn(t *testing.T, options testcluster.VolumeOptions) *Torn {
	t.Helper()
	c, name, _ := NewGlusterVolume(t, options)
	m, err := c.Mount(t.Context(), name, gluster.Arguments(name, []string{gluster.FreshNames})...)
	Must(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	v := &Torn{Cluster: c, Name: name, Client: m, Store: Open(t, m.Path), t: t, options: options}
	v.Store.Recent, v.Store.Abandoned, v.Store.Earliest = 0, 0, 0
	return v
}

// Remember keeps what bricks have now, all of their bookkeeping included: see Forget.
func (v *Torn) Remember(bricks ...int) {
	v.t.Helper()
	for _, i := range bricks {
		v.run("cp", "-a", v.BrickPath(v.Name, i), v.Before(i))
	}
}

// Forget makes bricks what they were when they were to remember it.
func (v *Torn) Forget(bricks ...int) {
	v.t.Helper()
	for _, i := range bricks {
		Must(v.t, v.KillBrick(v.Name, i), os.RemoveAll(v.BrickPath(v.Name, i)), os.Rename(v.Before(i), v.BrickPath(v.Name, i)))
	}
	v.Back(bricks...)
}

// Before is where a brick is kept as it was.
func (v *Torn) Before(i int) string { return v.BrickPath(v.Name, i) + ".before" }

// Back starts bricks that were killed.
func (v *Torn) Back(bricks ...int) {
	v.t.Helper()
	for _, i := range bricks {
		Must(v.t, v.StartBrick(v.Name, i))
		testcluster.Eventually(v.t, time.Minute, func() error { return testcluster.Connected(v.Client.Path, v.Name, i) })
	}
}

func (v *Torn) run(name string, args ...string) {
	v.t.Helper()
	if out, err := exec.CommandContext(v.t.Context(), name, args...).CombinedOutput(); err != nil {
		v.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

// Create makes a volume with data in it.
func (v *Torn) Create(id string) volume.Record {
	v.t.Helper()
	r := Create(v.t, v.Store, Spec(id))
	at := filepath.Join(v.Client.Path, r.Path)
	Must(v.t, os.MkdirAll(filepath.Join(at, "sub/deeper"), 0o755))
	for i := range 5 {
		Must(v.t, os.WriteFile(filepath.Join(at, "sub", fmt.Sprint(i)), []byte("dear"), 0o600))
	}
	return r
}

// Entry is the name of the trash entry that there is.
func (v *Torn) Entry() string {
	v.t.Helper()
	entries, err := v.Store.Trash.TrashEntries()
	if err != nil || len(entries) != 1 {
		v.t.Fatalf("%d trash entries, %v", len(entries), err)
	}
	return entries[0].Name
}

// Data is what a brick has in the directory with a gfid, wherever that is: files with their content. It fails the test
// unless the brick has the directory once.
func (v *Torn) Data(brick int, gfid string) map[string]string {
	v.t.Helper()
	top := v.BrickPath(v.Name, brick)
	found := map[string]string{}
	at := v.At(brick, gfid)
	if at == "" {
		v.t.Fatalf("brick %d does not have the directory once", brick)
	}
	Must(v.t, filepath.WalkDir(top+at, func(path string, d fs.DirEntry, err error) error {
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

// At is where a brick has the directory with a gfid; "" if it has it not once.
func (v *Torn) At(brick int, gfid string) string {
	v.t.Helper()
	var found []string
	for path, have := range Directories(v.t, v.BrickPath(v.Name, brick)) {
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
func (v *Torn) bricks() int {
	if v.options.Arbiter {
		return 3
	}
	return 2 * max(1, v.options.Subvolumes)
}

// All is what Data gives of each brick.
func (v *Torn) All(gfid string) []map[string]string {
	v.t.Helper()
	var all []map[string]string
	for i := range v.bricks() {
		all = append(all, v.Data(i, gfid))
	}
	return all
}

// BrickCure is what Check says to do on one brick.
type BrickCure struct{ Brick, Command string }

var brickCure = regexp.MustCompile("on [^ ]+, with brick ([^ ]+) stopped, `([^`]+)`")

// BrickCures are those in what Check says.
func BrickCures(says string) []BrickCure {
	var cures []BrickCure
	for _, match := range brickCure.FindAllStringSubmatch(says, -1) {
		cures = append(cures, BrickCure{Brick: match[1], Command: match[2]})
	}
	return cures
}

// CureOfDeletion is the part of what Check says that is for a volume which was deleted: where GlusterFS has brought back
// the record once more, there is one for a volume that is there, too.
func CureOfDeletion(says string) string {
	if _, deleted, both := strings.Cut(says, "; if none does"); both {
		return deleted
	}
	return says
}

// Cure does what Check says of one problem, as a person would do it.
func (v *Torn) Cure(says string) {
	v.t.Helper()
	cures := BrickCures(says)
	if len(cures) == 0 {
		v.t.Fatalf("it names no command: %s", says)
	}
	for _, cure := range cures {
		i := slices.IndexFunc(v.numbers(), func(i int) bool { return v.BrickPath(v.Name, i) == cure.Brick })
		Must(v.t, v.KillBrick(v.Name, i))
		v.t.Log(cure.Command)
		v.run("sh", "-c", cure.Command)
		v.Back(i)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	Must(v.t, v.AwaitHeal(ctx, v.Name))
}

func (v *Torn) numbers() []int {
	var numbers []int
	for i := range v.bricks() {
		numbers = append(numbers, i)
	}
	return numbers
}

// LookAt has names looked at that one brick has: GlusterFS brings them to the others.
func (v *Torn) LookAt(pattern string) {
	v.t.Helper()
	for i := range v.bricks() {
		names, err := filepath.Glob(filepath.Join(v.BrickPath(v.Name, i), pattern))
		Must(v.t, err)
		for _, name := range names {
			rel, err := filepath.Rel(v.BrickPath(v.Name, i), name)
			Must(v.t, err)
			_, err = os.Lstat(filepath.Join(v.Client.Path, rel))
			Must(v.t, err)
		}
	}
}

// HasTwo is the one problem that Check finds: a directory with two names.
func (v *Torn) HasTwo(subject string) check.Problem {
	v.t.Helper()
	problems, err := Checker(v.Store).Check(Background)
	if err != nil || len(problems) != 1 || problems[0].Kind != check.TwoNames || volume.IDOfStamp(problems[0].Subject) != subject || problems[0].Repairable() {
		v.t.Fatalf("Check finds %+v, %v; want that %s has two names", problems, err, subject)
	}
	return problems[0]
}

// Alike fails the test unless all bricks of a set have the same, with the directory of the volume in one place.
func (v *Torn) Alike(gfid, at string) {
	v.t.Helper()
	for i := range v.bricks() {
		testcluster.Eventually(v.t, time.Minute, func() error {
			first, have := Directories(v.t, v.BrickPath(v.Name, 0)), Directories(v.t, v.BrickPath(v.Name, i))
			if !maps.Equal(first, have) {
				return fmt.Errorf("brick 0 has %v, brick %d %v", first, i, have)
			}
			return nil
		})
		if got := v.At(i, gfid); got != at {
			v.t.Errorf("brick %d has the directory at %q, want %q", i, got, at)
		}
		link, err := os.Readlink(filepath.Join(v.BrickPath(v.Name, i), ".glusterfs", gfid[:2], gfid[2:4], gfid))
		if err != nil || path.Base(link) != path.Base(at) {
			v.t.Errorf("brick %d finds it at %q, %v", i, link, err)
		}
	}
	if all := v.All(gfid); !v.options.Arbiter && !maps.Equal(all[0], all[1]) {
		v.t.Errorf("brick 0 has %v, brick 1 %v", all[0], all[1])
	}
}
