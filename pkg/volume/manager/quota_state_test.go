// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestTheStateOfQuotaIsShown(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := &Manager{quotaState: newQuotaState(registry)}
	exact := quota.State{On: true, SoftTimeout: quota.SoftTimeout, HardTimeout: quota.HardTimeout, DeemStatfs: true}
	inexact := exact
	inexact.SoftTimeout *= 2
	for want, said := range map[string]struct {
		state quota.State
		err   error
	}{
		quotaOff: {}, quotaExact: {state: exact}, quotaInexact: {state: inexact}, quotaUnknown: {err: errors.New("silent")},
	} {
		m.showState(volumes.GV0, said.state, said.err)
		families, err := registry.Gather()
		volumes.Must(t, err)
		for _, metric := range families[0].GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "state" && (metric.GetGauge().GetValue() == 1) != (label.GetValue() == want) {
					t.Errorf("%s: %s is %v", want, label.GetValue(), metric.GetGauge().GetValue())
				}
			}
		}
	}
}
