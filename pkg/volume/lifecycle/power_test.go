// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

var fullPower = flag.Bool("power.full", false, "every verb on all kinds of Gluster volumes and both file systems, and each cut, not some verbs on replica 2 on XFS and a cut of all servers")

// inShort are the verbs that are enough where not all are asked for.
var inShort = []string{"create", "delete", "restore", "purge", "snapshot", "delete a snapshot"}

// verb is what a driver acknowledges, done to the volume "vol" of a store. Every one can be repeated.
type verb struct {
	name        string
	prepare, do func(*lifecycle.Volumes) error
	want        []string // what audit finds once it was acknowledged
}

var (
	readyTree = []string{"directory team", "directory team/app", "ready vol"}
	givenTree = []string{"directory team", "directory team/app", "directory team/app/vol"}

	verbs = []verb{
		{"create, the first of all", nothing, createSpec(crashSpec), readyTree},
		{"create", func(s *lifecycle.Volumes) error { return errors.Join(makeTrash(s), purgeOnly(s)) }, createSpec(crashSpec), readyTree},
		{"create, again at the path", makeTrash, createSpec(crashSpec), append([]string{"trash vol"}, readyTree...)},
		{"create, over what was begun", beginVolume, createSpec(crashSpec), readyTree},
		{"take back", beginVolume, deleteVolume, nil},
		{"delete", func(s *lifecycle.Volumes) error { return makeVolume(s, volume.Trash) }, deleteKept, []string{"trash vol"}},
		{
			"delete retained", func(s *lifecycle.Volumes) error { return makeVolume(s, volume.Retain) }, deleteVolume,
			[]string{"directory team", "directory team/app", "directory team/app/vol"},
		},
		{"restore", makeTrash, volumes.RestoreOnly, readyTree},
		{"hold", makeTrash, onEntry((*trash.Trash).Hold), []string{"held vol"}},
		{"release", func(s *lifecycle.Volumes) error { return errors.Join(makeTrash(s), onEntry((*trash.Trash).Hold)(s)) }, onEntry((*trash.Trash).Release), []string{"trash vol"}},
		{"purge", makeTrash, purgeOnly, nil},
		{"adopt", makeLegacy, adoptLegacy, readyTree},
		{"snapshot", func(s *lifecycle.Volumes) error { return makeVolume(s, volume.Trash) }, takeSnapshot, append([]string{"complete in snapshots: snap"}, readyTree...)},
		{"delete a snapshot", func(s *lifecycle.Volumes) error { return errors.Join(makeVolume(s, volume.Trash), takeSnapshot(s)) }, deleteSnapshot, readyTree},
		{"release a directory", func(s *lifecycle.Volumes) error { return errors.Join(makeLegacy(s), adoptLegacy(s)) }, giveBack, givenTree},
	}
)

// deleteKept is deleteVolume of what is not due at once: nobody who judges it removes it.
func deleteKept(s *lifecycle.Volumes) error {
	s.Recent = 0
	s.Kubernetes, s.Retention = "here", 24*time.Hour
	return s.Delete(volumes.Background, "vol")
}

func purgeOnly(s *lifecycle.Volumes) error {
	return onEntry(func(t *trash.Trash, name string) error { return t.Purge(volumes.Background, name, &trash.Purging{}) })(s)
}

// onEntry does something to the trash entry that there is.
func onEntry(do func(*trash.Trash, string) error) func(*lifecycle.Volumes) error {
	return func(s *lifecycle.Volumes) error {
		entries, err := s.Trash.TrashEntries()
		if err == nil && len(entries) == 1 {
			err = do(s.Trash, entries[0].Name)
		}
		return err
	}
}

// TestLossOfPowerWithinEveryVerb cuts the power of all servers, of the first, and of the last, at each named point of
// each verb, and after it. All verbs stop at their points at the same time, for one cut. Forces would
// put on disk what the others have done, so each goes in two parts: to the last force before its point and, when all
// have come there, to the point.
func TestLossOfPowerWithinEveryVerb(t *testing.T) {
	for i, shape := range []struct {
		name    string
		options testcluster.Options
	}{
		{"replica 2", testcluster.Options{}}, {"arbiter", testcluster.Options{Arbiter: true}}, {"2x2", testcluster.Options{Subvolumes: 2}},
	} {
		for j, kind := range []testcluster.FileSystem{testcluster.XFS, testcluster.Ext4} {
			if !*fullPower && i+j > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s on %s", shape.name, kind), func(t *testing.T) {
				shape.options.FileSystem = kind
				c := testcluster.New(t, shape.options)
				passed := pointsOf(t, c)
				last := len(c.Servers()) - 1
				t.Run("every server", func(t *testing.T) { losePower(t, c, passed, numbered(last+1)) })
				if !*fullPower {
					return
				}
				t.Run("the first server", func(t *testing.T) { losePower(t, c, passed, []int{0}) })
				t.Run("the last server", func(t *testing.T) { losePower(t, c, passed, []int{last}) })
			})
		}
	}
}

func numbered(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// controllers mounts gv0 as a controller does.
func controllers(t *testing.T, c *testcluster.Cluster) *testcluster.RawMount {
	t.Helper()
	m, err := c.Mount(t.Context(), "gv0", gluster.Arguments("gv0", []string{gluster.FreshNames})...)
	volumes.Must(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func connected(t *testing.T, c *testcluster.Cluster, m *testcluster.RawMount) {
	t.Helper()
	for i := range c.Bricks("gv0") {
		testcluster.Eventually(t, time.Minute, func() error { return testcluster.Connected(m.Path, "gv0", i) })
	}
}

// pointsOf does each verb once and returns the points that it passes, by the verb's name.
func pointsOf(t *testing.T, c *testcluster.Cluster) map[string][]point {
	t.Helper()
	m := controllers(t, c)
	committer := commit.New()
	defer committer.Close()
	passed := map[string][]point{}
	for _, v := range verbs {
		if !*fullPower && !slices.Contains(inShort, v.name) {
			continue
		}
		u := prepared(t, m, committer, v)
		volumes.Must(t, v.prepare(u.store))
		u.begin(nil, nil)
		<-u.ended
		volumes.Must(t, u.err)
		if last := u.passed[len(u.passed)-1].name; last != "on disk" && last != "create: record complete" {
			t.Errorf("%s does something after it is on disk: %v", v.name, u.passed)
		}
		volumes.Same(t, judgeSnapshots(t, u.store, volumes.Audit(t, u.root)), slices.Clone(v.want)...)
		passed[v.name] = u.passed
	}
	return passed
}

// losePower has every verb stopped at every point, cuts the power of these servers, and judges what there is when all
// has been repeated.
func losePower(t *testing.T, c *testcluster.Cluster, passed map[string][]point, servers []int) {
	m, committer := controllers(t, c), commit.New()
	defer committer.Close()
	connected(t, c, m)
	var all []*interrupted
	for _, v := range verbs {
		if passed[v.name] == nil {
			continue
		}
		all = append(all, prepared(t, m, committer, v)) // to be acknowledged
		for i := range passed[v.name] {
			u := prepared(t, m, committer, v)
			u.hold, u.stop = split(passed[v.name], i)
			all = append(all, u)
		}
	}
	inParallel(t, all, func(u *interrupted) error { return u.verb.prepare(u.store) })
	volumes.Must(t, all[0].store.Commit())

	began := time.Now()
	for _, u := range all {
		u.begin(u.hold, u.stop)
	}
	for _, u := range all {
		<-u.held
	}
	for _, u := range all {
		close(u.goOn)
	}
	for _, u := range all {
		<-u.stopped
	}
	t.Logf("%d operations stand at their points after %v", len(all), time.Since(began).Round(time.Millisecond))
	volumes.Must(t, c.PowerCut(servers...))
	for _, u := range all {
		close(u.resume)
		<-u.ended
	}
	connected(t, c, m)

	judge(t, c, all)
}

func inParallel(t *testing.T, all []*interrupted, do func(*interrupted) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for _, u := range all {
		group.Go(func() error {
			if err := do(u); err != nil {
				return fmt.Errorf("%s: %w", u, err)
			}
			return nil
		})
	}
	volumes.Must(t, group.Wait())
}
