// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

type metrics struct {
	files     *prometheus.GaugeVec
	restarted *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) metrics {
	m := metrics{
		files: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "glusterfs_csi_dead_files",
			Help: "Files of dead clients that a pod has open or mapped, by the volume's directory: they stay dead until it opens them anew, " +
				"or is restarted; none without.",
		}, []string{"cluster", "volume", "directory", "pod"}),
		restarted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "glusterfs_csi_containers_restarted_total",
			Help: "Containers that were told to end, as they had files of a dead client and their class says onClientDeath: restart.",
		}, []string{"cluster", "volume"}),
	}
	if registry != nil {
		registry.MustRegister(m.files, m.restarted)
	}
	return m
}

func (m metrics) show(all []statedir.Holder) {
	m.files.Reset()
	for _, h := range all {
		if h.IsBroken() {
			m.files.WithLabelValues(h.Cluster, h.Name, h.Root, h.Pod).Add(float64(h.Files + h.Mapped))
		}
	}
}

// logNew says who has come to be known.
func logNew(ctx context.Context, before, now []statedir.Holder) {
	type holder struct {
		pid        int
		start      uint64
		connection uint64
	}
	known := map[holder]bool{}
	for _, h := range before {
		known[holder{h.PID, h.Start, h.Connection}] = !h.Replaced
	}
	for _, h := range now {
		id := holder{h.PID, h.Start, h.Connection}
		if h.Replaced || known[id] {
			continue
		}
		known[id] = true
		klog.FromContext(ctx).Info("A process has files of a dead client; they stay dead until it opens them anew: restart it", "volume", h.Volume,
			"directory", h.Root, "since", h.Since, "pod", h.Pod, "container", pods.Container{Group: h.Container}.ID(), "pid", h.PID,
			"command", h.Command, "open", h.Files, "forWriting", h.Writable, "mapped", h.Mapped)
	}
}
