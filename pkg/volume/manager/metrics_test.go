// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// value is that of a gauge or counter.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var is dto.Metric
	volumes.Must(t, m.Write(&is))
	return is.GetGauge().GetValue() + is.GetCounter().GetValue()
}

func (m *Manager) show(t *testing.T, vec *prometheus.GaugeVec, v gluster.Volume, more ...string) float64 {
	t.Helper()
	return value(t, vec.WithLabelValues(append([]string{v.Cluster, v.Name}, more...)...))
}

func TestMetricsSayWhatIsOnAGlusterVolume(t *testing.T) {
	m, _, v := managerOf(t)
	m.SetRetention(volume.Unsaid) // each round has its own
	create := func(name string) {
		_, err := m.Create(volumes.Background, v, volumes.Spec(name))
		volumes.Must(t, err)
	}
	round := func(retention time.Duration) {
		m.SetRetention(retention)
		_, err := m.maintain(volumes.Background, v, true)
		m.SetRetention(volume.Unsaid)
		volumes.Must(t, err)
	}
	for _, name := range []string{"stays", "grows", "goes", "held"} {
		create(name)
	}
	client, err := m.host.Ensure(volumes.Background, v, m.own)
	volumes.Must(t, err)
	for _, name := range []string{"one", "two"} {
		volumes.Must(t, os.WriteFile(filepath.Join(client.Mountpoint(), "goes", name), nil, 0o600))
	}
	for _, name := range []string{"goes", "held"} {
		volumes.Must(t, m.Delete(volumes.Background, volume.ID{Volume: v, ID: name}))
	}
	entries, err := m.Trash(volumes.Background, v)
	volumes.Must(t, err)
	volumes.Must(t, m.Hold(volumes.Background, v, entries[1].Name))
	_, err = m.Expand(volumes.Background, volume.ID{Volume: v, ID: "grows"}, 3<<30, 0)
	volumes.Must(t, err)
	round(time.Hour)

	is := m.metrics
	for what, got := range map[string][2]float64{
		"volumes":       {m.show(t, is.volumes, v), 2},
		"provisioned":   {m.show(t, is.provisioned, v), 4 << 30},
		"trash":         {m.show(t, is.trashEntries, v, "waiting"), 1},
		"held":          {m.show(t, is.trashEntries, v, "held"), 1},
		"trash's bytes": {m.show(t, is.trashBytes, v), 1 << 30},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %g, want %g", what, got[0], got[1])
		}
	}
	var st unix.Statfs_t
	volumes.Must(t, unix.Statfs(client.Mountpoint(), &st))
	size, free, ratio := m.show(t, is.size, v), m.show(t, is.free, v), m.show(t, is.freeRatio, v)
	if size != float64(int64(st.Blocks)*st.Frsize) || free <= 0 || free > size || ratio <= 0 || ratio > free/size+.01 {
		t.Errorf("%g of %g bytes are free, %g of all", free, size, ratio)
	}

	round(0)
	if reaped := value(t, is.reapedEntries.WithLabelValues(v.Cluster, v.Name)); reaped != 1 {
		t.Errorf("%g entries were reaped, want 1", reaped)
	}
	if files := value(t, is.reapedFiles.WithLabelValues(v.Cluster, v.Name)); files != 2 {
		t.Errorf("%g files were removed, want 2", files)
	}
	round(0)
	if left, held := m.show(t, is.trashEntries, v, "waiting"), m.show(t, is.trashEntries, v, "held"); left != 0 || held != 1 {
		t.Errorf("%g and %g entries are left", left, held)
	}
	if age := m.show(t, is.trashAge, v); age != 0 {
		t.Errorf("the oldest of no entries is %g s old", age)
	}
}

// The round that is under way when a Gluster volume is taken out of the clusters file shows what it has seen after that.
func TestAGlusterVolumeThatIsTakenOutShowsNothing(t *testing.T) {
	m, _, v := managerOf(t)
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	close(wake)
	m.maintainer(volumes.Background, v, wake)
	if rounds := value(t, m.metrics.rounds.WithLabelValues(v.Cluster, v.Name, "ok")); rounds != 1 {
		t.Fatalf("%g rounds", rounds)
	}
	shown := make(chan prometheus.Metric, 100)
	for _, of := range []prometheus.Collector{m.problems, m.quotaState, m.metrics.size, m.metrics.provisioned, m.metrics.trashEntries} {
		of.Collect(shown)
	}
	if len(shown) > 0 {
		t.Errorf("it shows %d numbers, one of %s", len(shown), (<-shown).Desc())
	}
}

// TestWhatGoesOnWithoutItsCallerIsCounted lets a caller leave while its operation waits, as it does for a server.
func TestWhatGoesOnWithoutItsCallerIsCounted(t *testing.T) {
	m, _, v := managerOf(t)
	ctx, leave := context.WithCancel(volumes.Background)
	begun, goOn := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- m.run(ctx, v, m.own, "", func(context.Context, *lifecycle.Volumes, *operation) error {
			close(begun)
			<-goOn
			return nil
		})
	}()
	<-begun
	leave()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller is told %v", err)
	}
	if now, all := m.show(t, m.metrics.deserted, v), value(t, m.metrics.desertions.WithLabelValues(v.Cluster, v.Name)); now != 1 || all != 1 {
		t.Errorf("%g go on, of %g", now, all)
	}
	close(goOn)
	testcluster.Eventually(t, time.Minute, func() error {
		if now := m.show(t, m.metrics.deserted, v); now != 0 {
			return fmt.Errorf("%g go on", now)
		}
		return nil
	})
}

func TestVolumesAreCountedByHowFullTheyAre(t *testing.T) {
	for part, want := range map[float64]string{0: "below 80%", .79: "below 80%", .8: "80% to 95%", .96: "95% and more", 1.2: "95% and more"} {
		if got := fills[fillOf(part)].name; got != want {
			t.Errorf("%g is %s", part, got)
		}
	}
	m, c, v := managerOf(t)
	for _, command := range (quota.State{}).Commands(v) {
		_, err := c.Gluster(strings.Fields(command)[1:]...)
		volumes.Must(t, err)
	}
	for _, name := range []string{"empty", "none"} {
		wanted := volumes.Spec(name)
		wanted.Required = 20 << 20
		wanted.Quota = map[string]volume.Quota{"empty": volume.QuotaEnforced, "none": volume.QuotaNone}[name]
		_, err := m.Create(volumes.Background, v, wanted)
		volumes.Must(t, err)
	}
	volumes.Must(t, m.showFill(volumes.Background, v))
	for i, want := range []float64{1, 0, 0} {
		if got := m.show(t, m.metrics.limited, v, fills[i].name); got != want {
			t.Errorf("%g volumes are %s, want %g", got, fills[i].name, want)
		}
	}
}
