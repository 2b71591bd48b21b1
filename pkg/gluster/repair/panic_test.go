// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// panicsOnce is a mount.Repairer that panics in its first call.
type panicsOnce struct {
	mount.Repairer

	has bool
}

func (p *panicsOnce) Repair(ctx context.Context, dead map[*mount.Held]mount.Open) (mount.Report, error) {
	if !p.has {
		p.has = true
		panic("in the first round")
	}
	return p.Repairer.Repair(ctx, dead)
}

func TestARoundThatPanicsIsFollowedByOneThatRepairs(t *testing.T) {
	h := clients.SharedHost(t)
	c := clients.Ensure(t, h, gv0)
	clients.MakeFile(t, c, "panic")
	target := clients.Bind(t, c, "/panic", 0)
	pod := clients.NewContainer(t)
	r := New(h, nil)
	broken := &panicsOnce{}
	r.mounts = broken
	clients.Kill(t, c)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	waitUntilReadable(t, pod, filepath.Join(target, "file"))
	stop()
	running.Wait()
	if !broken.has {
		t.Error("no round has panicked")
	}
}

// waitUntilReadable waits for a repair in a container.
func waitUntilReadable(t *testing.T, pod clients.Container, path string) {
	t.Helper()
	testcluster.Eventually(t, clients.Patience, func() error {
		if got := pod.Does("read", path); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
}
