// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/check"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// What a person does after a power cut: lets GlusterFS bring every brick's names to all others, and what has two names
// gets the one that it is to have.

// healAll has every name that a brick has looked at by all, which makes GlusterFS bring it to the others: a list is
// what one brick says. What the arbiter alone has answers ENOTCONN until the servers have healed all, as is asked for.
func healAll(t *testing.T, c *testcluster.Cluster, m *testcluster.RawMount) {
	t.Helper()
	volumes.Must(t, eventually(t, func() error { // a server that has just come back has no self-heal daemon yet
		_, err := c.Gluster("volume", "heal", "gv0", "full")
		return err
	}))
	names := map[string]bool{}
	for i := range c.Bricks("gv0") {
		brick := c.BrickPath("gv0", i)
		volumes.Must(t, filepath.WalkDir(brick+"/", func(path string, d fs.DirEntry, err error) error {
			if d != nil && d.Name() == ".glusterfs" {
				return fs.SkipDir
			}
			if rel, _ := filepath.Rel(brick, path); rel != "." {
				names[filepath.Join(m.Path, rel)] = true
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // healed meanwhile
			}
			return err
		}))
	}
	var group errgroup.Group
	group.SetLimit(16)
	for name := range names {
		group.Go(func() error {
			return eventually(t, func() error {
				if _, err := os.Lstat(name); errors.Is(err, unix.ENOTCONN) {
					return err
				}
				return nil
			})
		})
	}
	volumes.Must(t, group.Wait())
}

func eventually(t *testing.T, check func() error) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return testcluster.Poll(ctx, check)
}

func healed(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.AwaitHeal(ctx, "gv0"); err != nil {
		info, infoErr := c.Gluster("volume", "heal", "gv0", "info")
		t.Errorf("%v: %s, %v", err, info, infoErr)
	}
}

// cureAll does on the bricks what Check says of the directories that have two names.
func cureAll(t *testing.T, c *testcluster.Cluster, m *testcluster.RawMount, all []*interrupted) {
	t.Helper()
	var mu sync.Mutex
	commands := map[int][][]string{} // by brick
	inParallel(t, all, func(u *interrupted) error {
		problems, err := volumes.Checker(u.store).Check(volumes.Background)
		for _, p := range problems {
			if p.Kind != check.TwoNames {
				continue
			}
			cure, _, _ := strings.Cut(p.Cure, "; if none does")
			if slices.Contains(u.verb.want, "trash vol") { // no PersistentVolume names it
				cure = volumes.CureOfDeletion(p.Cure)
			}
			for _, do := range volumes.BrickCures(cure) {
				i, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(do.Brick)), "gv0-"))
				if err != nil {
					return err
				}
				mu.Lock()
				commands[i] = append(commands[i], onBrick(do.Command, do.Brick, filepath.Base(u.root), c.BrickPath("gv0", i)))
				mu.Unlock()
			}
		}
		return err
	})
	for i, list := range commands {
		volumes.Must(t, c.KillBrick("gv0", i))
		for _, command := range list {
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Join(command, " ")).CombinedOutput(); err != nil {
				t.Errorf("%q: %v: %s", command, err, out)
			}
		}
		t.Logf("%d directories with two names on brick %d", len(list), i)
		volumes.Must(t, c.StartBrick("gv0", i))
		connected(t, c, m)
	}
	healed(t, c)
}

// onBrick is a command of a cure for a store that is a directory of the Gluster volume, with the brick where the test
// finds it.
func onBrick(command, brick, store, at string) []string {
	words := strings.Fields(command)
	for i, word := range words {
		below, is := strings.CutPrefix(word, brick+"/")
		if is && !strings.HasPrefix(below, store+"/") && !strings.HasPrefix(below, ".glusterfs/") {
			below = store + "/" + below
		}
		if is {
			words[i] = filepath.Join(at, below)
		}
	}
	return words
}

// judge repeats what was not acknowledged, by a driver that knows nothing, and looks at everything. What may be refused
// is what a person has to put right first.
func judge(t *testing.T, c *testcluster.Cluster, all []*interrupted) {
	t.Helper()
	m, committer := controllers(t, c), commit.New()
	defer committer.Close()
	began := time.Now()
	connected(t, c, m)
	for _, u := range all {
		u.reopen(t, m, committer)
	}
	repeat := func(u *interrupted) error { u.repeat(); return nil }
	inParallel(t, all, repeat)
	t.Logf("repeated after %v", time.Since(began).Round(time.Millisecond))
	healAll(t, c, m)
	t.Logf("all was looked at after %v", time.Since(began).Round(time.Millisecond))
	cureAll(t, c, m, all)
	t.Logf("two names were put right after %v", time.Since(began).Round(time.Millisecond))
	inParallel(t, all, func(u *interrupted) error {
		switch {
		case u.repeated == nil:
			return nil
		case errors.Is(u.repeated, volume.ErrTwoNames), errors.Is(u.repeated, volume.ErrDisconnected), errors.Is(u.repeated, volume.ErrBusy):
			return repeat(u)
		}
		return nil
	})
	inParallel(t, all, func(u *interrupted) error {
		if u.stop == nil && u.hold == nil { // acknowledged before: nothing is to be cleared away
			return nil
		}
		err := u.store.Reconcile(volumes.Background, volumes.Unlocked)
		_, reapErr := u.store.Trash.Reap(volumes.Background, 1000*time.Hour)
		if err = errors.Join(err, reapErr); err != nil {
			t.Errorf("%s: %v", u, err)
		}
		return nil
	})
	healed(t, c)
	t.Logf("healed after %v", time.Since(began).Round(time.Millisecond))
	eyes, err := c.Mount(t.Context(), "gv0") // with caches, which makes it quick
	volumes.Must(t, err)
	defer func() { volumes.Must(t, eyes.Close()) }()
	connected(t, c, eyes)
	inParallel(t, all, func(u *interrupted) error {
		t.Run(u.String(), func(t *testing.T) { u.judge(t, filepath.Join(eyes.Path, filepath.Base(u.root))) })
		return nil
	})
	t.Logf("judged after %v", time.Since(began).Round(time.Millisecond))
	for i := range c.Bricks("gv0") {
		oneNameEach(t, c.BrickPath("gv0", i))
	}
}

// repeat does the verb again unless it is acknowledged, and again as long as something is said to be under way.
func (u *interrupted) repeat() {
	if u.acknowledged() {
		return
	}
	for range 5 {
		u.repeated = u.verb.do(u.store)
		if !errors.Is(u.repeated, volume.ErrBusy) {
			break
		}
		u.earlier = append(u.earlier, u.repeated)
	}
}

func (u *interrupted) judge(t *testing.T, root string) {
	t.Helper()
	if u.repeated != nil {
		t.Errorf("the repetition: %v", u.repeated)
	}
	volumes.Same(t, judgeSnapshots(t, u.store, volumes.Audit(t, root)), slices.Clone(u.verb.want)...)
	if t.Failed() {
		t.Logf("it ended with %s; repeated: %v", firstLine(u.err), u.earlier)
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(fmt.Sprint(err), "\n")
	return line
}

// oneNameEach fails the test where a brick has one directory at two paths, or another directory than the mount.
func oneNameEach(t *testing.T, brick string) {
	t.Helper()
	at := map[string]string{}
	for path, gfid := range volumes.Directories(t, brick) {
		if other, twice := at[gfid]; twice {
			t.Errorf("on %s, %s and %s are one directory, %s", brick, path, other, gfid)
		}
		at[gfid] = path
	}
}
