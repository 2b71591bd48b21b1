// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package roundtrips

import (
	"fmt"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// TestADeletionThatIsRepeatedReadsNoOtherRecord: DeleteVolume of what is deleted reads the record of that volume, once,
// however many volumes are there.
func TestADeletionThatIsRepeatedReadsNoOtherRecord(t *testing.T) {
	d := testdriver.Serve(t, testcluster.Options{})
	const there = 40
	for i := range there {
		if _, err := d.Create(t.Context(), fmt.Sprintf("there-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	v, err := d.Create(t.Context(), "deleted")
	if err == nil {
		err = d.Delete(t.Context(), v)
	}
	if err != nil {
		t.Fatal(err)
	}
	counter := open(t, d)
	opened := 0
	for range 3 { // the reconciler, which reads all of them, may be at work, but not each time
		counts, err := counter.Count(t.Context(), func() error { return d.Delete(t.Context(), v) })
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("DeleteVolume once more: %s", counts)
		if opened = counts["OPEN"] + counts["READ"]; opened < there {
			return
		}
	}
	t.Errorf("with %d volumes there it opens and reads %d times", there, opened)
}
