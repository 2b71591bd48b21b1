// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
)

// leavesAll is a mount.Repairer as on a kernel before 6.5: something dead stays beneath what was repaired.
type leavesAll struct{ rounds chan time.Time }

func (l leavesAll) Repair(_ context.Context, dead map[*mount.Held]mount.Open) (mount.Report, error) {
	report := mount.Report{Left: map[mount.Device]int{}}
	for held := range dead {
		report.Left[held.Device()] = 1
	}
	l.rounds <- time.Now()
	return report, nil
}

// runWithDead runs a repairer of a host with a dead client, of whose mounts one is left whatever it does.
func runWithDead(t *testing.T, p pace) (rounds <-chan time.Time) {
	t.Helper()
	h := clients.SharedHost(t)
	clients.Kill(t, clients.Ensure(t, h, gv0))
	r := New(h, nil)
	// A round waits until it is looked at.
	all := leavesAll{make(chan time.Time)}
	r.mounts, r.pace = all, p
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		stop()
		go func() {
			for range all.rounds { // the one under way
			}
		}()
		running.Wait()
		close(all.rounds)
	})
	return all.rounds
}

// untilGap looks at rounds until two of them are as far apart as wanted.
func untilGap(t *testing.T, rounds <-chan time.Time, wanted func(time.Duration) bool) {
	t.Helper()
	patience := time.NewTimer(clients.Patience)
	defer patience.Stop()
	before := <-rounds
	for {
		select {
		case now := <-rounds:
			if wanted(now.Sub(before)) {
				return
			}
			before = now
		case <-patience.C:
			t.Fatal("there were none")
		}
	}
}

func TestRoundsThatRepairNothingBecomeRare(t *testing.T) {
	rounds := runWithDead(t, pace{shortest: 50 * time.Millisecond, longest: time.Hour})
	untilGap(t, rounds, func(gap time.Duration) bool { return gap >= 400*time.Millisecond })
}

func TestAChangeOfTheHostsMountsBringsRoundsBack(t *testing.T) {
	rounds := runWithDead(t, pace{shortest: time.Millisecond, longest: time.Hour})
	const rare = 500 * time.Millisecond
	untilGap(t, rounds, func(gap time.Duration) bool { return gap >= rare })
	target := t.TempDir()
	if err := unix.Mount("none", target, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := mount.Detach(target); err != nil {
			t.Error(err)
		}
	}()
	untilGap(t, rounds, func(gap time.Duration) bool { return gap < rare }) // else they become rarer still
}
