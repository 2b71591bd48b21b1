// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package roundtrips

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

func ofSize(bytes int64) func(*csi.CreateVolumeRequest) {
	return func(r *csi.CreateVolumeRequest) { r.CapacityRange = &csi.CapacityRange{RequiredBytes: bytes} }
}

// TestABoundOfWhatIsProvisionedListsNothing: with maxProvisioned in the clusters file, a CreateVolume beside volumes that are
// there reads none of their records and no directory.
func TestABoundOfWhatIsProvisionedListsNothing(t *testing.T) {
	d := testdriver.Serve(t, testcluster.Options{})
	text, err := os.ReadFile(d.Clusters)
	if err == nil {
		err = os.WriteFile(d.Clusters, append(text, []byte("    maxProvisioned: {gv0: 1Gi}\n")...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, 30*time.Second, func() error {
		v, err := d.Create(t.Context(), "too-large", ofSize(1<<30+1))
		if status.Code(err) == codes.ResourceExhausted {
			return nil
		}
		if err == nil {
			err = d.Delete(t.Context(), v)
		}
		return fmt.Errorf("it is not bounded yet, %w", err)
	})
	const there = 40
	for i := range there {
		if _, err := d.Create(t.Context(), fmt.Sprintf("there-%d", i), ofSize(1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	counter := open(t, d)
	least := there * calls
	for run := range 2 { // the maintainer, which lists once a minute, comes within one of them at most
		counts, err := counter.Count(t.Context(), func() error {
			for i := range calls {
				if _, err := d.Create(t.Context(), fmt.Sprintf("new-%d-%d", run, i), ofSize(1<<20)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d times CreateVolume: %s", calls, counts)
		least = min(least, counts["OPENDIR"]+counts["READDIR"]+counts["READDIRP"]+counts["READ"])
	}
	if least > 0 {
		t.Errorf("%d CreateVolumes read %d times", calls, least)
	}
}
