// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/provisioned"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// metrics are those of the Gluster volumes themselves. Each round of maintenance sets them, so no scrape asks GlusterFS
// anything. They keep what was known last while a Gluster volume does not answer: then its rounds fail, which is counted.
type metrics struct {
	size, free, freeRatio, provisioned, volumes *prometheus.GaugeVec
	othersVolumes, othersTrash                  *prometheus.GaugeVec
	limited                                     *prometheus.GaugeVec
	trashEntries, trashBytes, trashAge          *prometheus.GaugeVec
	rounds, reapedEntries, reapedFiles          *prometheus.CounterVec

	deserted   *prometheus.GaugeVec
	desertions *prometheus.CounterVec
}

var volumeLabels = []string{"cluster", "volume"}

func newMetrics(registry prometheus.Registerer) *metrics {
	with := promauto.With(registry)
	gauge := func(name, help string, more ...string) *prometheus.GaugeVec {
		return with.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append(volumeLabels[:2:2], more...))
	}
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(volumeLabels[:2:2], more...))
	}
	return &metrics{
		size: gauge("glusterfs_csi_size_bytes", "Size of the Gluster volume."),
		free: gauge("glusterfs_csi_free_bytes", "Bytes that are free on the Gluster volume; 0 where no inode is left."),
		freeRatio: gauge("glusterfs_csi_free_ratio",
			"Part of the Gluster volume that is free, 0 to 1: of its bytes, or of its inodes where that is less."),
		provisioned: gauge("glusterfs_csi_provisioned_bytes", "Capacities of all volumes together. What is in the trash is not among them."),
		volumes:     gauge("glusterfs_csi_volumes", "Volumes that the driver has on the Gluster volume."),
		othersVolumes: gauge("glusterfs_csi_others_volumes",
			"Volumes, among those of glusterfs_csi_volumes, that belong to other Kubernetes clusters."),
		othersTrash: gauge("glusterfs_csi_others_trash_entries",
			"Deleted volumes that are not held, among those of glusterfs_csi_trash_entries, that other Kubernetes clusters deleted."),
		limited: gauge("glusterfs_csi_limited_volumes",
			"Volumes that quota holds to their capacity, by how full they are; none while quota is off.", "fill"),
		trashEntries: gauge("glusterfs_csi_trash_entries",
			"Deleted volumes in the trash: those that go when their time has come, and those that are held.", "state"),
		trashBytes: gauge("glusterfs_csi_trash_bytes", "Capacities of the deleted volumes that are not held, together."),
		trashAge: gauge("glusterfs_csi_trash_oldest_age_seconds",
			"For how long the oldest deleted volume that is not held has been in the trash, of this Kubernetes cluster; 0 without."),
		rounds: counter("glusterfs_csi_maintenance_rounds_total",
			"Rounds, one a minute, in which the trash is emptied and what was interrupted is finished, by result: ok or error.", "result"),
		reapedEntries: counter("glusterfs_csi_reaped_entries_total", "Deleted volumes whose data was removed for good."),
		reapedFiles:   counter("glusterfs_csi_reaped_files_total", "Files and directories of deleted volumes that were removed."),
		deserted: gauge("glusterfs_csi_deserted_operations",
			"Operations that go on though their callers have stopped waiting, as GlusterFS does not answer."),
		desertions: counter("glusterfs_csi_desertions_total",
			"Operations whose callers have stopped waiting before the end."),
	}
}

// forget is for a Gluster volume that was taken out of the clusters file.
func (m *metrics) forget(v gluster.Volume) {
	labels := prometheus.Labels{"cluster": v.Cluster, "volume": v.Name}
	for _, g := range []*prometheus.GaugeVec{
		m.size, m.free, m.freeRatio, m.provisioned, m.volumes, m.othersVolumes, m.othersTrash, m.limited, m.trashEntries, m.trashBytes, m.trashAge,
	} {
		g.DeletePartialMatch(labels)
	}
}

// begin has all of a Gluster volume's counters there from the start, so that their first increase is one.
func (m *metrics) begin(v gluster.Volume) {
	for _, result := range []string{"ok", "error"} {
		m.rounds.WithLabelValues(v.Cluster, v.Name, result)
	}
	m.reapedEntries.WithLabelValues(v.Cluster, v.Name)
	m.reapedFiles.WithLabelValues(v.Cluster, v.Name)
	m.deserted.WithLabelValues(v.Cluster, v.Name)
	m.desertions.WithLabelValues(v.Cluster, v.Name)
}

// ended counts a round.
func (m *metrics) ended(v gluster.Volume, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.rounds.WithLabelValues(v.Cluster, v.Name, result).Inc()
}

// desert counts an operation whose caller has left, until back is called at its end.
func (m *metrics) desert(v gluster.Volume) (back func()) {
	m.desertions.WithLabelValues(v.Cluster, v.Name).Inc()
	m.deserted.WithLabelValues(v.Cluster, v.Name).Inc()
	return m.deserted.WithLabelValues(v.Cluster, v.Name).Dec
}

// showSpace asks the Gluster volume how large it is and what is free.
func (m *metrics) showSpace(s *lifecycle.Volumes) error {
	v := s.Volume
	free, size, err := s.Capacity()
	if err != nil {
		return err
	}
	ratio, err := s.FreePart()
	if err != nil {
		return err
	}
	m.size.WithLabelValues(v.Cluster, v.Name).Set(float64(size))
	m.free.WithLabelValues(v.Cluster, v.Name).Set(float64(free))
	m.freeRatio.WithLabelValues(v.Cluster, v.Name).Set(ratio)
	return nil
}

// showTrash says what the reaper has seen and done. It is called by one goroutine for each Gluster volume.
func (m *metrics) showTrash(v gluster.Volume, remembered *trash.Memory, reaped int) {
	content, removed := remembered.Seen()
	age := 0.0
	if !content.Oldest.IsZero() {
		age = max(0, time.Since(content.Oldest).Seconds())
	}
	m.trashEntries.WithLabelValues(v.Cluster, v.Name, "waiting").Set(float64(content.Entries - content.Held))
	m.trashEntries.WithLabelValues(v.Cluster, v.Name, "held").Set(float64(content.Held))
	m.othersTrash.WithLabelValues(v.Cluster, v.Name).Set(float64(content.Others))
	m.trashBytes.WithLabelValues(v.Cluster, v.Name).Set(float64(content.Bytes))
	m.trashAge.WithLabelValues(v.Cluster, v.Name).Set(age)
	m.reapedEntries.WithLabelValues(v.Cluster, v.Name).Add(float64(reaped))
	m.reapedFiles.WithLabelValues(v.Cluster, v.Name).Add(float64(removed))
}

// showProvisioned says what the volumes have together, if that was counted.
func (m *metrics) showProvisioned(v gluster.Volume, s *provisioned.Sum) {
	if volumes, others, bytes, known := s.Totals(); known {
		m.othersVolumes.WithLabelValues(v.Cluster, v.Name).Set(float64(others))
		m.volumes.WithLabelValues(v.Cluster, v.Name).Set(float64(volumes))
		m.provisioned.WithLabelValues(v.Cluster, v.Name).Set(float64(bytes))
	}
}

// fills are the values of a label, and below which part of its capacity a volume of the first ones is.
var fills = []struct {
	name  string
	below float64
}{{"below 80%", .8}, {"80% to 95%", .95}, {"95% and more", 0}}

// showFill asks for the use of each volume that quota holds to its capacity: a question for each, once an hour.
func (m *Manager) showFill(ctx context.Context, v gluster.Volume) error {
	counts := make([]float64, len(fills))
	err := m.eachPage(ctx, v, func(all []Volume) error {
		used, err := m.Used(ctx, v, all)
		for _, one := range all {
			if bytes, known := used[one.ID.ID]; known {
				counts[fillOf(float64(bytes)/float64(one.Record.Capacity))]++
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, fill := range fills {
		m.metrics.limited.WithLabelValues(v.Cluster, v.Name, fill.name).Set(counts[i])
	}
	return nil
}

// fillOf is an index of fills.
func fillOf(part float64) int {
	for i, fill := range fills[:len(fills)-1] {
		if part < fill.below {
			return i
		}
	}
	return len(fills) - 1
}
