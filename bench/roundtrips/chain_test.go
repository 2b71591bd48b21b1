// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package roundtrips

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/driver"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

// roundTrip is longer than this machine computes for between two requests.
const roundTrip = 50 * time.Millisecond

// shortestOf is how often each call is made: whoever else works on the machine may have made a chain longer.
const shortestOf = 5

// chained is a call whose chain is bounded.
type chained struct {
	name string
	most int // 0: it asks nobody
	call func(i int) error
}

// TestNoCallWaitsForMoreRoundTripsThanItMust bounds how many requests of a call wait for each other, one call at a
// time, as it is after a pause: with the question whether the client answers, 1, and with the driver's own directories
// looked up anew, 1 to 3, which somebody else may have done a moment ago. A bound may go down, and up only with a
// reason.
func TestNoCallWaitsForMoreRoundTripsThanItMust(t *testing.T) {
	cable, err := wire.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cable.Close(); err != nil {
			t.Error(err)
		}
	})
	cluster := testcluster.New(t, testcluster.Options{Wire: cable})
	controller := testdriver.ServeAs(t, driver.Controller, cluster, cluster.ClustersYAML())
	node := testdriver.ServeAs(t, driver.Node, cluster, cluster.ClustersYAML())
	raw, err := cluster.Mount(t.Context(), "gv0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range shortestOf { // the clients' start, and the driver's own directories for these names
		v, err := controller.Create(t.Context(), fmt.Sprintf("pvc-%d", i))
		target := filepath.Join(node.Dir, "warm")
		if err == nil {
			err = node.Publish(t.Context(), v, target)
		}
		if err == nil {
			err = node.Unpublish(t.Context(), v, target)
		}
		if err == nil {
			err = expand(t.Context(), controller, v, 2<<30)
		}
		if err == nil {
			err = controller.Delete(t.Context(), v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var volumes [shortestOf]*csi.Volume
	target := func(i int) string { return filepath.Join(node.Dir, fmt.Sprintf("target-%d", i)) }
	cable.SetRoundTrip(roundTrip)
	defer cable.SetRoundTrip(0)
	for _, test := range []chained{
		{"mkdir + chown + chmod", 11, func(i int) error { return least(filepath.Join(raw.Path, fmt.Sprintf("least-%d", i))) }},
		// The claim 7 (its link 3, linked to its name 4), the directory 6 (looked up by GlusterFS three times in the root,
		// made, opened), owner 2, mode 3 (the lock of the one before is just being given up), all put on disk 5.
		{"CreateVolume", 27, func(i int) (err error) {
			volumes[i], err = controller.Create(t.Context(), fmt.Sprintf("pvc-%d", i))
			return err
		}},
		{"NodePublishVolume", 8, func(i int) error { return node.Publish(t.Context(), volumes[i], target(i)) }},
		{"NodeUnpublishVolume", 0, func(i int) error { return node.Unpublish(t.Context(), volumes[i], target(i)) }},
		// Record and changes until now 3, the claim 7, all put on disk 5.
		{"ControllerExpandVolume", 19, func(i int) error { return expand(t.Context(), controller, volumes[i], 2<<30) }},
		{"ListVolumes, a page of 10", 18, func(int) error {
			_, err := controller.Controller.ListVolumes(t.Context(), &csi.ListVolumesRequest{MaxEntries: 10})
			return err
		}},
		// What is looked at before 6 (the record, two lists side by side), record moved 4, read 1, looks 1, data moved 4,
		// looks 2, claim moved aside 4, all put on disk 5.
		{"DeleteVolume", 31, func(i int) error { return controller.Delete(t.Context(), volumes[i]) }},
	} {
		chain := shortest(t, cable, test.name, test.call)
		t.Logf("%s: %d round trips%s", test.name, len(chain), chain)
		if len(chain) > test.most {
			t.Errorf("%s waits for %d round trips, want %d at most", test.name, len(chain), test.most)
		}
		if test.most > 0 && len(chain) == 0 {
			t.Errorf("%s waits for nobody: the wire does not count", test.name)
		}
	}
}

func shortest(t *testing.T, cable *wire.Wire, name string, call func(i int) error) (found Chain) {
	t.Helper()
	for i := range shortestOf {
		chain, err := Follow(cable, func() error { return call(i) })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if i == 0 || len(chain) < len(found) {
			found = chain
		}
	}
	return found
}

func expand(ctx context.Context, d *testdriver.Driver, v *csi.Volume, bytes int64) error {
	_, err := d.Controller.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{
		VolumeId: v.GetVolumeId(), CapacityRange: &csi.CapacityRange{RequiredBytes: bytes}, VolumeCapability: testdriver.Capability(),
	})
	return err
}

// least makes a directory for uid 1001 and does nothing else.
func least(path string) error {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		err = os.Chown(path, 1001, 0)
	}
	if err == nil {
		err = os.Chmod(path, os.ModeSetgid|0o770)
	}
	return err
}
