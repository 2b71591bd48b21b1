// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
)

func percentAt(t *testing.T, s *Store, path string) (percent int64) {
	t.Helper()
	withLimit(t, s, path, func(dir *quota.Directory) error {
		l, _, err := dir.Limit()
		percent = l.SoftPercent
		return err
	})
	return percent
}

func TestTheHeadroomIsAsItIsSaid(t *testing.T) {
	_, mountpoint := storeOf(t)
	s := privilegedStore(t, mountpoint)
	s.headroom = 256 << 20
	create(t, s, limitedSpec("vol"))
	if got := percentAt(t, s, "vol"); got != 75 {
		t.Errorf("of 1 GiB bricks ask from %d %% on, want 75", got)
	}
	// Another one counts for what there is, too.
	s.headroom = quota.DefaultHeadroom
	if set, err := s.settleLimits(background, unlocked); set != 1 || err != nil {
		t.Errorf("set %d limits, %v", set, err)
	}
	if got := percentAt(t, s, "vol"); got != 0 {
		t.Errorf("of 1 GiB bricks ask from %d %% on, want 0", got)
	}
}

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
		m.showState(gv0, said.state, said.err)
		families, err := registry.Gather()
		must(t, err)
		for _, metric := range families[0].GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "state" && (metric.GetGauge().GetValue() == 1) != (label.GetValue() == want) {
					t.Errorf("%s: %s is %v", want, label.GetValue(), metric.GetGauge().GetValue())
				}
			}
		}
	}
}
