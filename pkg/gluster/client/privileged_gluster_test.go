// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestThePrivilegedClientIsOneOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	clusters := clustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	h := hostIn(t, dir, clusters)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := h.EnsurePrivileged(ctx, gv0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.EnsurePrivileged(ctx, gv0)
	if err != nil || again != c {
		t.Errorf("the second call: %v, %v", again, err)
	}
	for _, options := range [][]string{nil, {gluster.FreshNames}} {
		if other := ensure(t, h, gv0, options...); other.Slot() == c.Slot() || other.Device() == c.Device() {
			t.Errorf("it serves those who ask for %q, too", options)
		}
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Info().PID))
	if err != nil || !slices.Contains(strings.Split(string(command), "\x00"), "--client-pid=-5") {
		t.Errorf("GlusterFS does not take it for its own quota command: %q, %v", command, err)
	}

	t.Run("which another process finds", func(t *testing.T) {
		other := hostIn(t, dir, clusters)
		found, err := other.EnsurePrivileged(ctx, gv0)
		if err != nil || found.Info().PID != c.Info().PID || !found.Info().Adopted {
			t.Errorf("it has %+v, %v", found, err)
		}
	})
	t.Run("which goes when it is idle", func(t *testing.T) {
		detached, err := c.slot.detachIdle(ctx, 0)
		if err != nil || !detached {
			t.Fatalf("detached: %v, %v", detached, err)
		}
		testcluster.Eventually(t, patience, func() error {
			if !c.HasEnded() {
				return fmt.Errorf("process %d runs", c.Info().PID)
			}
			return nil
		})
	})
	t.Run("which a node's process has none of", func(t *testing.T) {
		remote, err := NewRemoteHost(t.TempDir(), clusters, nobody{})
		if err != nil {
			t.Fatal(err)
		}
		defer remote.Close()
		if _, err := remote.EnsurePrivileged(ctx, gv0); !errors.Is(err, gluster.ErrOption) {
			t.Errorf("it has one: %v", err)
		}
	})
}

// nobody is a mounter that must not be asked.
type nobody struct{}

func (nobody) Ensure(context.Context, gluster.Volume, []string) (Info, error) {
	return Info{}, errors.New("the mounter was asked")
}
