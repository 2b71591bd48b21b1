// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package roundtrips

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/driver"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// calls is how many of one kind are made, so that what happens once a second counts little.
const calls = 10

// The kernel asks for a name and for attributes again when it knew them for a second, and the
// driver asks each second whether the client answers. A slow machine has more of these, so
// they are no part of what is bounded.
var slow = []string{"LOOKUP", "STAT", "STATFS", "GETXATTR", "OPENDIR", "READDIRP"}

// TestEachCallCostsNoMoreRequestsThanItMust bounds what a call sends to the two bricks of a
// replicated volume, all bricks together. A bound may go down, and up only with a reason.
func TestEachCallCostsNoMoreRequestsThanItMust(t *testing.T) {
	connection, dir := start(t)
	controller, node := csi.NewControllerClient(connection), csi.NewNodeClient(connection)
	capability := &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER},
	}
	create := func(name string) (*csi.Volume, error) {
		response, err := controller.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
			Name: name, VolumeCapabilities: []*csi.VolumeCapability{capability}, Parameters: map[string]string{"uid": "1001"},
		}, grpc.WaitForReady(true))
		return response.GetVolume(), err
	}
	warm, err := create("warm") // the client's start, and the driver's own directories
	if err == nil {
		_, err = controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: warm.GetVolumeId()})
	}
	if err != nil {
		t.Fatal(err)
	}
	counter := open(t, dir)

	var volumes [calls]*csi.Volume
	target := func(i int) string { return filepath.Join(dir, fmt.Sprintf("target-%d", i)) }
	for _, test := range []struct {
		name string
		most int
		call func(i int) error
	}{
		// The claim 20 (create, write, fsync, close), the directory 6, its mark, owner and mode 6
		// each, the link that makes it ready 6, and the claim's end 6.
		{"CreateVolume", 56, func(i int) (err error) {
			volumes[i], err = create(fmt.Sprintf("pvc-%d", i))
			return err
		}},
		{"NodePublishVolume", 0, func(i int) error {
			_, err := node.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{
				VolumeId: volumes[i].GetVolumeId(), VolumeContext: volumes[i].GetVolumeContext(), VolumeCapability: capability, TargetPath: target(i),
			})
			return err
		}},
		{"NodeUnpublishVolume", 0, func(i int) error {
			_, err := node.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: volumes[i].GetVolumeId(), TargetPath: target(i)})
			return err
		}},
		// Two renames.
		{"DeleteVolume", 20, func(i int) error {
			_, err := controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: volumes[i].GetVolumeId()})
			return err
		}},
	} {
		counts, err := counter.Count(t.Context(), func() error {
			for i := range calls {
				if err := test.call(i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		t.Logf("%d times %s: %s", calls, test.name, counts)
		bounded := maps.Clone(counts)
		for _, kind := range slow {
			delete(bounded, kind)
		}
		if bounded.Total() > test.most*calls {
			t.Errorf("%s sends %.1f requests, want %d at most: %s", test.name, float64(bounded.Total())/calls, test.most, bounded)
		}
		if test.most > 0 && bounded.Total() == 0 {
			t.Errorf("%s sends nothing: the counter does not count", test.name)
		}
	}
}

// start runs the driver on a cluster of the test's own, and returns a connection to it and
// its directory.
func start(t *testing.T) (*grpc.ClientConn, string) {
	t.Helper()
	cluster := testcluster.New(t, testcluster.Options{})
	dir := filepath.Join(cluster.Dir(), "driver")
	if err := errors.Join(os.Mkdir(dir, 0o700), cluster.ClustersFile(filepath.Join(dir, "clusters.yaml"))); err != nil {
		t.Fatal(err)
	}
	endpoint := "unix://" + filepath.Join(dir, "csi.sock")
	ctx, stop := context.WithCancel(context.Background())
	d, err := driver.New(ctx, driver.Options{
		Mode: driver.All, Name: driver.DefaultName, Version: "test", Endpoint: endpoint, NodeID: "pi-worker1",
		ClustersFile: filepath.Join(dir, "clusters.yaml"), StateDir: filepath.Join(dir, "state"),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	connection, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The cluster's end is the client's, which the driver is to see: it is a child.
		err := errors.Join(connection.Close(), cluster.Close())
		stop()
		if err := errors.Join(err, <-ended); err != nil {
			t.Errorf("the driver: %v", err)
		}
	})
	return connection, dir
}

func open(t *testing.T, dir string) *Counter {
	t.Helper()
	mounts, err := filepath.Glob(filepath.Join(dir, "state/clients/*/gv0/default/start-*/mnt"))
	if err != nil || len(mounts) != 1 {
		t.Fatalf("the driver has the clients %q (%v), want one", mounts, err)
	}
	counter, err := Open(mounts[0], "gv0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := counter.Close(); err != nil {
			t.Error(err)
		}
	})
	return counter
}
