// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/check"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

func newProblems(registry prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "glusterfs_csi_volume_problems",
		Help: "What the last hourly check of records and directories found, by kind: see `glusterfs-csi volume check`.",
	}, []string{"cluster", "volume", "kind"})
}

func newLimits(registry prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "glusterfs_csi_limits_set_again_total",
		Help: "Volumes that had another limit on the Gluster volume than they are to have, and were given theirs.",
	}, []string{"cluster", "volume"})
}

// Checked is a problem, and what became of it.
type Checked struct {
	check.Problem

	Repaired bool
	Failed   error // why not
}

// Check is Checker.Check, and with repair Checker.Repair of each problem. It takes as long as GlusterFS takes to look
// at each volume.
func (m *Manager) Check(ctx context.Context, v gluster.Volume, repair bool) ([]Checked, error) {
	lock := func(id string) (func(), bool) { return m.locks.try(lockKey(v, id)) } //nolint:contextcheck // try does not wait
	return one(ctx, m, v, "", func(s *lifecycle.Volumes) ([]Checked, error) {
		problems, err := check.New(s.Trash).Check(ctx)
		var all []Checked
		for _, p := range problems {
			c := Checked{Problem: p}
			if repair && ctx.Err() == nil {
				c.Repaired, c.Failed = check.New(s.Trash).Repair(p, lock)
			}
			all = append(all, c)
		}
		return all, err
	})
}

// report checks a Gluster volume, and says by the metric and in one line what was found.
func (m *Manager) report(ctx context.Context, v gluster.Volume) error {
	problems, err := m.Check(ctx, v, false)
	if err != nil {
		return err
	}
	counts := map[check.Kind]int{}
	for _, p := range problems {
		counts[p.Kind]++
	}
	for _, kind := range check.Kinds {
		if kind == check.TwoVolumes {
			continue // that is seen by looking at more than one
		}
		m.problems.WithLabelValues(v.Cluster, v.Name, string(kind)).Set(float64(counts[kind]))
	}
	if len(problems) > 0 {
		klog.FromContext(ctx).Info("Records and directories do not belong together everywhere: see `glusterfs-csi volume check`",
			"glusterVolume", v.String(), "problems", len(problems), "first", problems[0].Subject, "why", problems[0].Why)
	}
	return nil
}
