// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

func TestClientsThatDieAgainAndAgainAreStartedWithoutHurry(t *testing.T) {
	var b backoff
	var deaths client.Deaths
	die := func(recent int) {
		deaths.All++
		deaths.Recent = recent
		b.note(deaths)
	}
	for i := range manyDeaths - 1 {
		if die(i + 1); !b.isDue() {
			t.Fatal("it waits after a few deaths")
		}
	}
	for i := range 2 {
		before := b.delay
		if die(manyDeaths + i); b.isDue() || b.delay <= before {
			t.Errorf("after many deaths it waits for %v, before for %v", b.delay, before)
		}
		b.note(deaths) // nothing new
	}
	if die(1); !b.isDue() || b.delay != 0 {
		t.Error("it waits after the first death in a long time")
	}
}

func TestWhatIsSaidToStayDeadDoes(t *testing.T) {
	report := mount.Report{Stale: []mount.Stale{
		{Root: "/waits", Err: fmt.Errorf("wrapped: %w", mount.ErrNothingYet)},
		{Root: "/slow", Err: fmt.Errorf("wrapped: %w", unix.ETIMEDOUT)},
		{Root: "/bricks", Err: fmt.Errorf("wrapped: %w", errNoBricks)},
		{Root: "/removed", Target: "/data", PID: 7, Err: unix.ENOENT},
	}}
	if got := describe(lasting(report)); !strings.HasPrefix(got, "/removed at /data of process 7: no such") || strings.Contains(got, ";") {
		t.Errorf("got %q", got)
	}
}
