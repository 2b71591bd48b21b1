// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// The files of a volume that is deleted get no other owner: the walk through them would go on in the trash.
func TestAChangeOfOwnerEndsWithItsVolume(t *testing.T) {
	m, _, v := managerOf(t)
	if _, err := m.Create(volumes.Background, v, volumes.Spec("vol")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	asks, leave := context.WithCancel(t.Context())
	leave()
	err := m.ownerWalks.Walk(asks, lockKey(v, "vol"), 1, 1, func(ctx context.Context, _, _ int, _ *atomic.Int64) error {
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	})
	volumes.Wants(t, err, volume.ErrBusy)
	volumes.Must(t, m.Delete(volumes.Background, volume.ID{Volume: v, ID: "vol"}))
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("it goes on")
	}
}

// A request that was under way when a walk was replaced comes to its end before the walk does: the next one waits for that.
func TestAChangeOfOwnerHasEndedWhenItSaysSo(t *testing.T) {
	m, _, v := managerOf(t)
	if _, err := m.Create(volumes.Background, v, volumes.Spec("vol")); err != nil {
		t.Fatal(err)
	}
	err := m.run(volumes.Background, v, m.own, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) error {
		dir, err := s.Root.Open("vol")
		if err != nil {
			return err
		}
		defer dir.Close()
		for i := range 1000 {
			f, err := dir.OpenFile(fmt.Sprint(i), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_ = f.Close()
		}
		return nil
	})
	volumes.Must(t, err)
	var visited atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- m.ownerWalk(volume.ID{Volume: v, ID: "vol"})(ctx, 1, 1, &visited)
	}()
	for visited.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	clients.Signal(t, m.host.Running()[0], unix.SIGSTOP)
	cancel()
	select {
	case err := <-ended:
		t.Errorf("it has ended while GlusterFS's client stands still, at %d files: %v", visited.Load(), err)
	case <-time.After(time.Second):
	}
	clients.Signal(t, m.host.Running()[0], unix.SIGCONT)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it says %v", err)
	}
}
