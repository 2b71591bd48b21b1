// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
)

// Used returns by ID how many bytes are used of volumes of one Gluster volume, as `df` in their pods shows it. Left out
// are those that are held to no limit, of which only a walk would tell, and those whose limit is not in force. What is
// wrong with one is in the error, and holds up no other.
func (m *Manager) Used(ctx context.Context, v gluster.Volume, volumes []Volume) (map[string]int64, error) {
	return one(ctx, m, v, "", func(s *Store) (map[string]int64, error) {
		used, errs := make([]int64, len(volumes)), make([]error, len(volumes))
		beside(s.permit, len(volumes), func(i int) { used[i], errs[i] = s.used(volumes[i].Record) })
		found := map[string]int64{}
		for i, v := range volumes {
			if errs[i] == nil && used[i] >= 0 {
				found[v.ID.ID] = used[i]
			}
		}
		return found, s.explain(errors.Join(errs...))
	})
}

// used is -1 where nothing is known. With quota-deem-statfs a client shows the limit of a directory as its size.
func (s *Store) used(r Record) (int64, error) {
	if !r.Enforced {
		return -1, nil
	}
	dir, err := s.root.Open(r.Path)
	if err != nil {
		return -1, ignoreNotExist(err) // which `volume check` is for
	}
	defer dir.Close()
	st, err := dir.Statfs()
	if err != nil || int64(st.Blocks)*st.Frsize > r.Capacity {
		return -1, err
	}
	return int64(st.Blocks-st.Bfree) * st.Frsize, nil
}

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

// showState says by the metric what servers have said of quota, or that they did not.
func (m *Manager) showState(v gluster.Volume, state quota.State, err error) {
	is := quotaExact
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
}
