// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// managerOf is one with clients of its own, for a Gluster volume of the test's own.
func managerOf(t *testing.T) (m *Manager, c *testcluster.Cluster, v gluster.Volume) {
	t.Helper()
	c, name, _ := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
	m, v = managerOn(t, c, name, "")
	return m, c, v
}

// managerOn is a manager with clients of its own on a Gluster volume, whose volumes may have so much together; "" for no
// bound.
func managerOn(t *testing.T, c *testcluster.Cluster, name, most string) (m *Manager, v gluster.Volume) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "clusters.yaml")
	if most != "" {
		most = fmt.Sprintf(", maxProvisioned: {%s: %s}", name, most)
	}
	text := fmt.Sprintf("clusters: [{name: %s, servers: [%s], volumes: [%s]%s}]\n", testcluster.Name, strings.Join(c.Servers(), ", "), name, most)
	volumes.Must(t, os.WriteFile(file, []byte(text), 0o600))
	clusters := gluster.WatchClusters(t.Context(), file, nil)
	host, err := client.NewHost(filepath.Join(dir, "state"), clusters)
	volumes.Must(t, err)
	v = gluster.Volume{Cluster: testcluster.Name, Name: name}
	pool := permits.New(permits.Default, func() []gluster.Volume { return []gluster.Volume{v} })
	m = New(clusters, settings.New(clusters), host, pool, nil, gluster.FreshNames)
	t.Cleanup(func() {
		m.Close()
		ctx, cancel := context.WithTimeout(volumes.Background, time.Minute)
		defer cancel()
		if err := host.DetachStarted(ctx); err != nil {
			t.Error(err)
		}
		testcluster.Eventually(t, time.Minute, func() error {
			if left := host.Clients(); len(left) > 0 {
				return fmt.Errorf("clients are left: %+v", left)
			}
			return nil
		})
		host.Close()
	})
	return m, v
}

// limitOf is the limit of a directory in bytes, 0 where it has none.
func (m *Manager) limitOf(t *testing.T, v gluster.Volume, path string) int64 {
	t.Helper()
	root, release, err := m.privileged(volumes.Background, v)()
	volumes.Must(t, err)
	defer release()
	dir, err := quota.Open(root, path)
	volumes.Must(t, err)
	defer dir.Close()
	l, _, err := dir.Limit()
	volumes.Must(t, err)
	return l.Bytes
}

// Quota may be off and on again between two looks at it: nobody sees it off, and all limits are gone.
func TestLimitsAreBackWithinTwoRounds(t *testing.T) {
	m, c, v := managerOf(t)
	run := func(commands ...string) {
		for _, command := range commands {
			_, err := c.Gluster(strings.Fields(command)[1:]...)
			volumes.Must(t, err)
		}
	}
	on := quota.State{}.Commands(v)
	round := func() {
		m.quotas = quota.NewStates(m.clusters) // what was known is older than a minute
		volumes.Must(t, m.settleLimits(volumes.Background, v))
	}
	run(on...)
	wanted := volumes.Spec("vol")
	wanted.Quota = volume.QuotaAuto
	r, err := m.Create(volumes.Background, v, wanted)
	if err != nil || !r.Enforced {
		t.Fatalf("%+v, %v", r, err)
	}
	round()
	run("gluster volume quota " + v.Name + " disable")
	run(on...)
	if got := m.limitOf(t, v, "vol"); got != 0 {
		t.Fatalf("GlusterFS has not forgotten the limit: %d", got)
	}
	round()
	round()
	if got := m.limitOf(t, v, "vol"); got != 1<<30 {
		t.Errorf("its limit is %d after two rounds", got)
	}
}
