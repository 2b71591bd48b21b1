// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
)

// quotaStates are the values of a label; of each Gluster volume one is 1.
var quotaStates = []string{quotaUnknown, quotaOff, quotaInexact, quotaExact}

const (
	quotaUnknown = "unknown" // its servers do not say
	quotaOff     = "off"
	quotaInexact = "inexact" // volumes may be filled beyond their limits
	quotaExact   = "exact"
)

func newQuotaState(registry prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "glusterfs_csi_quota_state",
		Help: "1 for the state in which quota of a Gluster volume is, by what its servers say each minute.",
	}, []string{"cluster", "volume", "state"})
}

// showState says by the metric what servers have said of quota, or that they did not, and returns it.
func (m *Manager) showState(v gluster.Volume, state quota.State, err error) (is string) {
	is = quotaExact
	switch {
	case err != nil:
		is = quotaUnknown
	case !state.On:
		is = quotaOff
	case state.Check(v) != nil:
		is = quotaInexact
	}
	for _, name := range quotaStates {
		value := 0.0
		if name == is {
			value = 1
		}
		m.quotaState.WithLabelValues(v.Cluster, v.Name, name).Set(value)
	}
	return is
}
