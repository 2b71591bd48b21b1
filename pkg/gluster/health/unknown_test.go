// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestBeforeAnythingIsReadTheHealthIsUnknown(t *testing.T) {
	clusters := clients.ClustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers())
	state := t.TempDir()
	c := clients.Ensure(t, clients.HostIn(t, state, clusters), gv0)
	clients.Signal(t, c, unix.SIGSTOP)
	defer clients.Signal(t, c, unix.SIGCONT)
	restarted, err := client.NewHost(state, clusters)
	do(t, err)
	defer restarted.Close()
	o := New(restarted, clusters, settings.New(clusters), prometheus.NewRegistry())
	got := look(t, o, gv0)
	if got.State != Unknown || len(got.Reasons) > 0 {
		t.Errorf("it is %+v", got)
	}
	w := healthWatch{gauges: o.gauges, splitFiles: o.Split, known: map[gluster.Volume]Report{}}
	if w.update(t.Context(), []Report{got}); series(o.gauges.volumeHealth) != 0 {
		t.Error("the metric says how it is")
	}
	clients.Signal(t, c, unix.SIGCONT)
	testcluster.Eventually(t, clients.Patience, func() error {
		if got = look(t, o, gv0); got.State != Healthy {
			return fmt.Errorf("it is %+v", got)
		}
		return nil
	})
	if w.update(t.Context(), []Report{got}); series(o.gauges.volumeHealth) != 1 {
		t.Error("the metric does not say how it is")
	}
	got.State = Unknown
	if w.update(t.Context(), []Report{got}); series(o.gauges.volumeHealth) != 1 {
		t.Error("the metric does not say how it was")
	}
}

// A node plugin that was restarted finds its clients so, and one that asks for the first time about a client that has
// taken a dead one's place. The client's own state is read where a brick that answers has the root directory's
// attributes, so at least beside one of the two.
func TestAClientThatIsFoundWhileABrickIsSilentIsKnown(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	clusters := clients.ClustersFile(t, c.Servers())
	state := t.TempDir()
	h := clients.HostIn(t, state, clusters)
	clients.Ensure(t, h, gv0)
	first := New(h, clusters, settings.New(clusters), nil)
	read := 0
	for i := range c.Servers() {
		do(t, c.StopServer(i))
		found, err := client.NewHost(state, clusters)
		do(t, err)
		o := New(found, clusters, settings.New(clusters), nil)
		began := time.Now()
		got := look(t, o, gv0)
		if got.State == Healthy && len(got.Bricks) == 2 {
			read++
		} else if got.State != Unknown {
			t.Errorf("at first it is %+v", got)
		}
		testcluster.Eventually(t, clients.Patience, func() error {
			asked := time.Now()
			if got = look(t, o, gv0); got.State == Unknown && asked.Sub(began) > UnknownFor {
				t.Errorf("unknown for %v", asked.Sub(began))
			}
			if got.State != Degraded {
				return fmt.Errorf("it is %+v", got)
			}
			return nil
		})
		t.Logf("server %d silent: %+v", i, got.Reasons)
		found.Close()
		do(t, c.ContinueServer(i))
		becomes(t, first, gv0)
	}
	if read == 0 {
		t.Error("the client's own state was read beside neither of two silent bricks")
	}
}
