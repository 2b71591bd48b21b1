// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// durations are the histogram's bounds: from one mount to a node with some thousands, and to a client that does not start.
var durations = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// metrics are those of a Repairer.
type metrics struct {
	repairs  *prometheus.CounterVec
	duration prometheus.Histogram
	left     *prometheus.GaugeVec // dead mounts, wherever they are
	lasting  *prometheus.GaugeVec // of them those that stay dead, in containers
}

func newMetrics(registry prometheus.Registerer) metrics {
	with := promauto.With(registry)
	m := metrics{
		repairs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "glusterfs_csi_mounts_repaired_total",
			Help: "Mounts of dead clients that were replaced in place, in all mount namespaces of the host: " +
				"beneath in one step; or, where the kernel is older, on top, or detached first.",
		}, []string{"way"}),
		duration: with.NewHistogram(prometheus.HistogramOpts{
			Name: "glusterfs_csi_repair_duration_seconds", Buckets: durations,
			Help: "How long the rounds took that repaired mounts of dead clients, with the start of the clients in their place.",
		}),
		left: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "glusterfs_csi_mounts_dead",
			Help: "Mounts of dead clients that the last round has left: they wait for a client, or stay dead.",
		}, []string{"cluster", "volume"}),
		lasting: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "glusterfs_csi_container_mounts_dead",
			Help: "Mounts of dead clients that stay dead in containers, whose pods have to be restarted.",
		}, []string{"cluster", "volume"}),
	}
	m.repaired(mount.Report{}, time.Time{}) // so that the first one is an increase
	return m
}

// repaired counts a round that has begun then.
func (m metrics) repaired(report mount.Report, began time.Time) {
	m.repairs.WithLabelValues("beneath").Add(float64(report.Beneath))
	m.repairs.WithLabelValues("on top").Add(float64(report.OnTop))
	m.repairs.WithLabelValues("detached first").Add(float64(report.DetachedFirst))
	if report.Repaired() > 0 {
		m.duration.Observe(time.Since(began).Seconds())
	}
}

// leave says what a round has left. Of the Gluster volumes of this host each has a number.
func (m metrics) leave(report mount.Report, volumes map[mount.Device]gluster.Volume, all map[gluster.Volume]bool) {
	m.left.Reset()
	m.lasting.Reset()
	for v := range all {
		m.left.WithLabelValues(v.Cluster, v.Name)
		m.lasting.WithLabelValues(v.Cluster, v.Name)
	}
	for _, s := range report.Stale {
		v := volumes[s.Device]
		m.left.WithLabelValues(v.Cluster, v.Name).Inc()
	}
}
