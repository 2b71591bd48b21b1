// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestStartsAndDeathsAreCountedByReason(t *testing.T) {
	h := newHost(t, clustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0"))
	wantDeaths := map[string]int{}
	starts := 0
	for _, death := range []struct {
		reason string
		end    func(c *Client) error
	}{
		{string(process.EndKilled), func(c *Client) error { return c.process.Signal(unix.SIGKILL) }},
		{string(process.EndCrashed), func(c *Client) error { return c.process.Signal(unix.SIGSEGV) }},
		{string(process.EndExited), func(c *Client) error { return c.process.Signal(unix.SIGTERM) }},
		{DeathHung, func(c *Client) error {
			h.Later(hungLimit)
			defer h.Later(0)
			if err := c.process.Signal(unix.SIGSTOP); err != nil {
				return err
			}
			testcluster.Eventually(t, patience, func() error {
				h.endHung(t.Context())
				if !c.HasEnded() {
					return errors.New("it still hangs")
				}
				return nil
			})
			return nil
		}},
		{"", func(c *Client) error { // of an idle one: none
			_, err := c.slot.detachIdle(t.Context(), 0)
			return err
		}},
	} {
		c := ensure(t, h, gv0)
		if use, err := c.Use(); err != nil || use.Memory < 1<<20 || use.Descriptors < 3 {
			t.Errorf("it uses %+v: %v", use, err)
		}
		if age := c.Unanswered(); age < 0 || age > patience {
			t.Errorf("it has answered %s ago", age)
		}
		starts++
		if err := death.end(c); err != nil {
			t.Fatal(err)
		}
		if death.reason != "" {
			wantDeaths[death.reason]++
		}
		testcluster.Eventually(t, patience, func() error {
			if got := h.Tallies()[gv0]; got.Started != starts || got.Failed != 0 || !maps.Equal(got.Deaths, wantDeaths) {
				return fmt.Errorf("%+v, want %d starts and %v", got, starts, wantDeaths)
			}
			if !c.HasEnded() {
				return fmt.Errorf("process %d has not ended", c.process.PID)
			}
			return nil
		})
		if use, err := c.Use(); err == nil {
			t.Errorf("an ended client uses %+v", use)
		}
	}
	if got := h.Tallies()[gv0]; got.Started != starts || !maps.Equal(got.Deaths, wantDeaths) {
		t.Errorf("%+v", got)
	}
}
