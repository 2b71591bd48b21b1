// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package health

import (
	"fmt"
	"testing"

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
	w := healthWatch{gauges: o.gauges, known: map[gluster.Volume]Report{}}
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
