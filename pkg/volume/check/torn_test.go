// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package check_test

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
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// torn is a Gluster volume of which one brick forgets what was done last, as a power cut makes it: GlusterFS does not
// know that, since the bricks had agreed when it was done.
type torn struct {
	*testcluster.Cluster

	t       *testing.T
	name    string
	options testcluster.VolumeOptions
	mount   *testcluster.RawMount // as the controller's client, which believes no name
	store   *lifecycle.Volumes
}

func newTorn(t *testing.T, options testcluster.VolumeOptions) *torn {
	t.Helper()
	c, name, _ := volumes.NewGlusterVolume(t, options)
	m, err := c.Mount(t.Context(), name, gluster.Arguments(name, []string{gluster.FreshNames})...)
	volumes.Must(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	v := &torn{Cluster: c, t: t, name: name, options: options, mount: m, store: volumes.Open(t, m.Path)}
	v.store.Recent, v.store.Abandoned, v.store.Earliest = 0, 0, 0
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
		volumes.Must(v.t, v.KillBrick(v.name, i), os.RemoveAll(v.BrickPath(v.name, i)), os.Rename(v.before(i), v.BrickPath(v.name, i)))
	}
	v.back(bricks...)
}

func (v *torn) before(i int) string { return v.BrickPath(v.name, i) + ".before" }

// back starts bricks that were killed.
func (v *torn) back(bricks ...int) {
	v.t.Helper()
	for _, i := range bricks {
		volumes.Must(v.t, v.StartBrick(v.name, i))
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
func (v *torn) volume(id string) volume.Record {
	v.t.Helper()
	r := volumes.Create(v.t, v.store, volumes.Spec(id))
	at := filepath.Join(v.mount.Path, r.Path)
	volumes.Must(v.t, os.MkdirAll(filepath.Join(at, "sub/deeper"), 0o755))
	for i := range 5 {
		volumes.Must(v.t, os.WriteFile(filepath.Join(at, "sub", fmt.Sprint(i)), []byte("dear"), 0o600))
	}
	return r
}

func (v *torn) entry() string {
	v.t.Helper()
	entries, err := v.store.Trash.TrashEntries()
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
	volumes.Must(v.t, filepath.WalkDir(top+at, func(path string, d fs.DirEntry, err error) error {
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
	for path, have := range volumes.Directories(v.t, v.BrickPath(v.name, brick)) {
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
		volumes.Must(v.t, v.KillBrick(v.name, i))
		v.t.Log(match[2])
		v.run("sh", "-c", match[2])
		v.back(i)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	volumes.Must(v.t, v.AwaitHeal(ctx, v.name))
}

func (v *torn) numbers() []int {
	var numbers []int
	for i := range v.bricks() {
		numbers = append(numbers, i)
	}
	return numbers
}

// hasTwo is the one problem that Check finds: a directory with two names.
func (v *torn) hasTwo(subject string) check.Problem {
	v.t.Helper()
	problems, err := volumes.Checker(v.store).Check(volumes.Background)
	if err != nil || len(problems) != 1 || problems[0].Kind != check.TwoNames || volume.IDOfStamp(problems[0].Subject) != subject || problems[0].Repairable() {
		v.t.Fatalf("Check finds %+v, %v; want that %s has two names", problems, err, subject)
	}
	return problems[0]
}

// alike fails the test unless all bricks of a set have the same, with the directory of the volume in one place.
func (v *torn) alike(gfid, at string) {
	v.t.Helper()
	for i := range v.bricks() {
		testcluster.Eventually(v.t, time.Minute, func() error {
			first, have := volumes.Directories(v.t, v.BrickPath(v.name, 0)), volumes.Directories(v.t, v.BrickPath(v.name, i))
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
