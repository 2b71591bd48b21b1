// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
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
