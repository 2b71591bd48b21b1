// SPDX-License-Identifier: Apache-2.0

package testdriver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/driver"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Serve runs the driver in this process on a cluster of the test's own, both until the test ends. Calls wait until it
// serves.
func Serve(t *testing.T, options testcluster.Options) *Driver {
	t.Helper()
	cluster := testcluster.New(t, options)
	return ServeOn(t, cluster, cluster.ClustersYAML())
}

// ServeOn is Serve with this clusters file, which may name others beside the cluster.
func ServeOn(t *testing.T, cluster *testcluster.Cluster, clusters string) *Driver {
	t.Helper()
	return ServeAs(t, driver.All, cluster, clusters)
}

// ServeAs is ServeOn in this mode. One of each may run beside each other.
func ServeAs(t *testing.T, mode driver.Mode, cluster *testcluster.Cluster, clusters string) *Driver {
	t.Helper()
	d := &Driver{Dir: filepath.Join(cluster.Dir(), "driver-"+string(mode))}
	d.Clusters = filepath.Join(d.Dir, "clusters.yaml")
	if err := errors.Join(os.Mkdir(d.Dir, 0o700), os.WriteFile(d.Clusters, []byte(clusters), 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served, err := driver.New(ctx, driver.Options{
		Mode: mode, Name: driver.DefaultName, Version: "test", Endpoint: d.Endpoint(), NodeID: NodeID,
		ClustersFile: d.Clusters, StateDir: d.State(), MaxOperations: permits.Default,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- served.Run(ctx) }()
	if d.Caller, err = Dial(d.Endpoint(), grpc.WithDefaultCallOptions(grpc.WaitForReady(true))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The cluster's end is that of its clients, which are children of this process: the driver is to see it.
		err := errors.Join(d.Close(), cluster.Close())
		stop()
		if err := errors.Join(err, <-ended); err != nil {
			t.Errorf("the driver: %v", err)
		}
	})
	return d
}
