// SPDX-License-Identifier: Apache-2.0

package driver

import (
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
)

// rpcSeconds are the histogram's bounds: from what a bind mount takes to beyond ping-timeout (42 s), after
// which calls go on without a server that is silently gone.
var rpcSeconds = []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 20, 45, 60}

// metrics are those of one driver, and of its process (Go, memory). Two drivers in one process have nothing in common.
type metrics struct {
	registry *prometheus.Registry
	rpc      *grpcprom.ServerMetrics
	retries  *prometheus.CounterVec
}

func newMetrics(options Options) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		rpc:      grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(rpcSeconds))),
	}
	m.retries = newRetries(m.registry)
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "glusterfs_csi_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": options.Version, "mode": string(options.Mode), "driver": options.Name},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.rpc, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observeClients adds what there is to tell of a host's clients by a process with these options.
func (m *metrics) observeClients(host *client.Host, options Options) {
	m.registry.MustRegister(health.ClientsCollector{Host: host, IsOwner: options.Mounter == "", IsObserver: options.Mode != Mounter})
}

// countOperations adds what is under way, and what waits for it to end.
func (m *metrics) countOperations(pool *permits.Pool) {
	m.registry.MustRegister(operationsCollector{pool})
}

// operationsCollector counts what a process has to do on Gluster volumes.
type operationsCollector struct{ pool *permits.Pool }

var operationsDesc = prometheus.NewDesc("glusterfs_csi_operations",
	"Operations on a Gluster volume, by state: running, which have a thread each, or queued because --max-operations run already.",
	[]string{"cluster", "volume", "state"}, nil)

// Describe implements prometheus.Collector.
func (c operationsCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- operationsDesc
}

// Collect implements prometheus.Collector.
func (c operationsCollector) Collect(collected chan<- prometheus.Metric) {
	for v, n := range c.pool.Counts() {
		for state, count := range map[string]int{"running": n.Running, "queued": n.Waiting} {
			collected <- prometheus.MustNewConstMetric(operationsDesc, prometheus.GaugeValue, float64(count), v.Cluster, v.Name, state)
		}
	}
}
