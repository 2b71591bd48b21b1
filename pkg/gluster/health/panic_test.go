// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"sync"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// panicsOnce is a host without clients, that of which has a bug which shows once.
type panicsOnce struct {
	has  bool
	next chan struct{} // closed in the round after that
}

func (p *panicsOnce) Running() []*client.Client {
	switch {
	case !p.has:
		p.has = true
		panic("in the first round")
	default:
		closeOnce(p.next)
	}
	return nil
}

func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (*panicsOnce) Dead([]mount.Entry) []client.Dead { return nil }
func (*panicsOnce) Serves(mount.Device) bool         { return false }
func (*panicsOnce) Owns(string) bool                 { return false }
func (*panicsOnce) Stale() ([]statedir.Stale, error) { return nil, nil }

func (*panicsOnce) Holders() ([]statedir.Holder, error) { return nil, nil }

func TestALookThatPanicsIsFollowedByTheNext(t *testing.T) {
	p := &panicsOnce{next: make(chan struct{})}
	o := &Observer{host: p, gauges: newGauges(nil)}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { o.Watch(ctx) })
	<-p.next // 10 s later
	stop()
	running.Wait()
}
