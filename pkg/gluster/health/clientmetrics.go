// SPDX-License-Identifier: Apache-2.0

package health

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
)

// ClientsCollector tells of the clients of a host. It asks GlusterFS nothing, so a scrape never waits for it
// (TestHealthNeverDependsOnGlusterFS).
type ClientsCollector struct {
	Host *client.Host
	// IsOwner says that this process starts the clients, and IsObserver that it asks them for signs of life.
	IsOwner, IsObserver bool
}

var (
	clientLabels = []string{"cluster", "volume", "client"}

	clientsDesc = prometheus.NewDesc("glusterfs_csi_clients",
		"Running GlusterFS clients, by Gluster volume and consistency: one for each set of client options.",
		[]string{"cluster", "volume", "consistency"}, nil)
	startsDesc = prometheus.NewDesc("glusterfs_csi_client_starts_total",
		"Starts of clients by this process, by result: started, or failed.", []string{"cluster", "volume", "result"}, nil)
	deathsDesc = prometheus.NewDesc("glusterfs_csi_client_deaths_total",
		"Clients that ended though they were in use, by reason: hung (and was killed for it), killed (for want of memory, or by hand), "+
			"crashed, exited, or unknown (an earlier process had started it).", []string{"cluster", "volume", "reason"}, nil)
	memoryDesc = prometheus.NewDesc("glusterfs_csi_client_memory_bytes",
		"Resident memory of a client's process. The label client tells sets of options apart, as the state directory does.", clientLabels, nil)
	fdsDesc = prometheus.NewDesc("glusterfs_csi_client_open_fds", "Descriptors that a client's process has open.", clientLabels, nil)
	ageDesc = prometheus.NewDesc("glusterfs_csi_client_answer_age_seconds",
		"How long ago a client, asked every 10 s, has answered for its Gluster volume last.", clientLabels, nil)
)

// Describe implements prometheus.Collector.
func (c ClientsCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- clientsDesc
	if c.IsOwner {
		for _, d := range []*prometheus.Desc{startsDesc, deathsDesc, memoryDesc, fdsDesc} {
			descriptions <- d
		}
	}
	if c.IsObserver {
		descriptions <- ageDesc
	}
}

// Collect implements prometheus.Collector.
func (c ClientsCollector) Collect(collected chan<- prometheus.Metric) {
	c.number(collected)
	if c.IsOwner {
		c.history(collected)
	}
	for _, running := range c.Host.Running() {
		c.one(running, func(d *prometheus.Desc, value float64) {
			v := running.Volume()
			collected <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, v.Cluster, v.Name, running.Name())
		})
	}
}

func (c ClientsCollector) one(running *client.Client, tell func(*prometheus.Desc, float64)) {
	if use, err := running.Use(); c.IsOwner && err == nil {
		tell(memoryDesc, float64(use.Memory))
		tell(fdsDesc, float64(use.Descriptors))
	}
	if c.IsObserver {
		tell(ageDesc, running.Unanswered().Seconds())
	}
}

func (c ClientsCollector) number(collected chan<- prometheus.Metric) {
	type kind struct {
		gluster.Volume

		consistency string
	}
	counts := map[kind]int{}
	for _, info := range c.Host.Clients() {
		k := kind{info.Volume, "relaxed"}
		if slices.Contains(info.Options, gluster.Strict) {
			k.consistency = "strict"
		}
		counts[k]++
	}
	for k, n := range counts {
		collected <- prometheus.MustNewConstMetric(clientsDesc, prometheus.GaugeValue, float64(n), k.Cluster, k.Name, k.consistency)
	}
}

// history tells of each reason, of what never was, too: so that the first time is an increase.
func (c ClientsCollector) history(collected chan<- prometheus.Metric) {
	for v, t := range c.Host.Tallies() {
		tell := func(d *prometheus.Desc, n int, label string) {
			collected <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), v.Cluster, v.Name, label)
		}
		tell(startsDesc, t.Started, "started")
		tell(startsDesc, t.Failed, "failed")
		for _, reason := range client.DeathReasons {
			tell(deathsDesc, t.Deaths[reason], reason)
		}
	}
}
