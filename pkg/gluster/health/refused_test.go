// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package health

import (
	"errors"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// It does not pass by itself when bricks are back: they are there.
func TestAClientThatBricksRefuseIsToldFromOneWithoutBricks(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{Replica: 3})
	clusters := clients.ClustersFile(t, c.Servers())
	h := clients.NewHost(t, clusters)
	o := New(h, clusters, settings.New(clusters), nil)
	mounted := clients.Ensure(t, h, gv0)
	becomes(t, o, gv0)
	const cure = " comes from 127. server.allow-insecure is off gluster volume get gv0 all"
	do(t, c.SetOption("gv0", "server.allow-insecure", "off"))
	becomes(t, o, gv0, "Inaccessible ClusterUnreachable: pi/gv0 "+at(c, 0)+" refuses this node "+at(c, 1)+" "+at(c, 2)+cure)
	err := mounted.Probe(t.Context())
	if !errors.Is(err, gluster.ErrNotConnected) || strings.Contains(err.Error(), "by itself") || !strings.Contains(err.Error(), "refuse this node, which comes from 127.") {
		t.Errorf("a call is told %v", err)
	}
}
