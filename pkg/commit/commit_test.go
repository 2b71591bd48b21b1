// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestCallsAtOnceShareForces(t *testing.T) {
	g := mountGV0(t, testcluster.Shared(t, testcluster.Options{Subvolumes: 2}))
	g.mustCommit()
	began := g.Forces()
	for range 5 {
		g.mustCommit()
	}
	if got := g.Forces() - began; got != 5 {
		t.Errorf("%d forces for 5 calls one after the other", got)
	}
	for _, calls := range []int{16, 100} {
		began := g.Forces()
		var all errgroup.Group
		for range calls {
			all.Go(g.commit)
		}
		if err := all.Wait(); err != nil {
			t.Error(err)
		}
		got := g.Forces() - began
		t.Logf("%d calls at once: %d forces", calls, got)
		if got > 4 {
			t.Errorf("%d forces for %d calls at once", got, calls)
		}
	}
}

// TestACallIsNotServedByAForceThatBeganBeforeIt: what was done during a force may have come too late for it.
func TestACallIsNotServedByAForceThatBeganBeforeIt(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	g := mountGV0(t, c)
	g.mustCommit()
	if err := errors.Join(c.StopServer(0), c.StopServer(1)); err != nil {
		t.Fatal(err)
	}
	began := g.Forces()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := g.Commit(ctx, g.root)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "pi/gv0 does not answer in time") {
		t.Errorf("with every server stopped: %v", err)
	}
	var late errgroup.Group
	late.Go(g.commit)
	late.Go(g.commit)
	testcluster.Eventually(t, patience, func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.next == nil {
			return errors.New("nobody waits for the next force")
		}
		return nil
	})
	if err := errors.Join(c.ContinueServer(0), c.ContinueServer(1)); err != nil {
		t.Fatal(err)
	}
	if err := late.Wait(); err != nil {
		t.Error(err)
	}
	if got := g.Forces() - began; got < 2 {
		t.Errorf("%d forces, want the one under way and another", got)
	}
}

func TestWithABrickDownTheOthersAreCommittedAndThenItAsWell(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{FileSystem: testcluster.XFS})
	g := mountGV0(t, c)
	// No file has been made yet: that is done by the brick that is up.
	if err := c.PowerOff(1); err != nil {
		t.Fatal(err)
	}
	if lost := g.operateAndCut(t, "alone", true, 0); len(lost) > 0 {
		t.Errorf("the only brick lost:\n%s", strings.Join(lost, "\n"))
	}
	if err := c.PowerOn(1); err != nil {
		t.Fatal(err)
	}
	g.connected(0, 1)
	// The brick lacks the files until it is healed, and they have to be there for what is said now.
	testcluster.Eventually(t, patience, func() error {
		err := g.commit()
		if err != nil && !errors.Is(err, ErrHealing) {
			t.Fatal(err)
		}
		return err
	})
	if lost := g.operateAndCut(t, "again", true, 1); len(lost) > 0 {
		t.Errorf("the brick that came back lost:\n%s", strings.Join(lost, "\n"))
	}
	// It comes back while the file is open.
	if err := c.PowerOff(1); err != nil {
		t.Fatal(err)
	}
	g.mustCommit()
	if err := c.PowerOn(1); err != nil {
		t.Fatal(err)
	}
	g.connected(0, 1)
	if lost := g.operateAndCut(t, "meanwhile", true, 1); len(lost) > 0 {
		t.Errorf("the brick that came back while the file was open lost:\n%s", strings.Join(lost, "\n"))
	}
}

func TestWithoutQuorumNothingIsCommitted(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	g := mountGV0(t, c)
	g.mustCommit()
	// With replica 2: the first brick, or both.
	if err := c.SetOption("gv0", "cluster.quorum-type", "auto"); err != nil {
		t.Fatal(err)
	}
	if err := c.KillBrick("gv0", 1); err != nil {
		t.Fatal(err)
	}
	g.mustCommit()
	if err := c.StartBrick("gv0", 1); err != nil {
		t.Fatal(err)
	}
	g.connected(0, 1)
	if err := c.KillBrick("gv0", 0); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		err := g.commit()
		if !errors.Is(err, unix.ENOTCONN) && !errors.Is(err, unix.EROFS) {
			return errors.Join(errors.New("not refused for want of a quorum"), err)
		}
		return nil
	})
	if err := c.StartBrick("gv0", 0); err != nil {
		t.Fatal(err)
	}
	g.connected(0, 1)
	testcluster.Eventually(t, patience, g.commit)
}

func TestEverySetHasAFileWhateverBecomesOfTheBricks(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{Subvolumes: 2, FileSystem: testcluster.XFS})
	if err := c.SetOption("gv0", "cluster.lookup-optimize", "off"); err != nil {
		t.Fatal(err)
	}
	g := mountGV0(t, c)
	onSets := func(when string, want ...string) {
		t.Helper()
		testcluster.Eventually(t, patience, func() error {
			if err := g.commit(); err != nil {
				return err
			}
			if got := slices.Sorted(maps.Keys(g.files.bySet)); !slices.Equal(got, want) {
				return fmt.Errorf("%s: files on %v, want %v", when, got, want)
			}
			return nil
		})
	}
	onSets("at first", "gv0-replicate-0", "gv0-replicate-1")
	if err := c.AddSubvolume("gv0"); err != nil {
		t.Fatal(err)
	}
	g.connected(numbered(6)...)
	onSets("after add-brick", "gv0-replicate-0", "gv0-replicate-1", "gv0-replicate-2")
	if lost := g.operateAndCut(t, "added", true); len(lost) > 0 {
		t.Errorf("lost with the new bricks:\n%s", strings.Join(lost, "\n"))
	}
	if err := c.FixLayout("gv0"); err != nil {
		t.Fatal(err)
	}
	if err := c.StartRemoval("gv0", 0); err != nil {
		t.Fatal(err)
	}
	g.mustCommit()
	if err := c.FinishRemoval("gv0", 0); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		if err := g.commit(); err != nil {
			return err
		}
		if len(g.files.bySet) != 2 {
			return fmt.Errorf("files on %d sets, want 2", len(g.files.bySet))
		}
		return nil
	})
	// Another process finds the same ones.
	before := filesOf(t, g)
	other := mountGV0(t, c)
	other.mustCommit()
	if after := filesOf(t, other); !slices.Equal(before, after) {
		t.Errorf("another process has %v, the first %v", after, before)
	}
}

func filesOf(t *testing.T, g *mounted) (names []string) {
	t.Helper()
	for _, file := range g.files.bySet {
		_, name, _ := strings.Cut(file.Name(), ownDir)
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestAClientIsNotHeldForEver(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{Subvolumes: 2})
	m, err := c.Mount(t.Context(), "gv0")
	if err != nil {
		t.Fatal(err)
	}
	root, err := safepath.OpenRoot(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	committer := New()
	committer.idle = 50 * time.Millisecond
	if err := committer.Commit(t.Context(), root); err != nil {
		t.Error(err)
	}
	root.Close()
	if err := unix.Unmount(m.Path, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	// A client ends by itself when nobody uses its mount any more.
	testcluster.Eventually(t, patience, func() error {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", m.PID())); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("client %d runs", m.PID()), err)
		}
		return nil
	})
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestAClientThatDiedIsFollowedByAnother: the next call has the root of another mount.
func TestAClientThatDiedIsFollowedByAnother(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{Subvolumes: 2})
	g := mountGV0(t, c)
	g.mustCommit()
	dead, err := c.Mount(t.Context(), "gv0", gluster.Arguments("gv0", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dead.Close(); err != nil {
			t.Error(err)
		}
	})
	root, err := safepath.OpenRoot(dead.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := g.Commit(t.Context(), root); err != nil {
		t.Error(err)
	}
	if err := dead.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := g.Commit(t.Context(), root); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("on a dead client: %v", err)
	}
	g.mustCommit()
}
