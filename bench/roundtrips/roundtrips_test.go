// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package roundtrips

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

func TestMain(m *testing.M) {
	if err := wire.OwnNamespace(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testcluster.Main(m)
}

// calls is how many of one kind are made, so that what happens once a second counts little.
const calls = 10

// The kernel asks for a name and for attributes again when it knew them for a second, and the
// driver asks each second whether the client answers. Its look after its start lists and reads the claims of paths, for as
// long as volumes come and go. A slow machine has more of these, so they are no part of what is bounded.
var slow = []string{"LOOKUP", "STAT", "STATFS", "GETXATTR", "OPENDIR", "READDIRP", "READLINK"}

// TestEachCallCostsNoMoreRequestsThanItMust bounds what a call sends to the two bricks of a
// replicated volume, all bricks together. A bound may go down, and up only with a reason.
func TestEachCallCostsNoMoreRequestsThanItMust(t *testing.T) {
	d := testdriver.Serve(t, testcluster.Options{})
	for i := range calls { // the client's start, and the driver's own directories for these names
		warm, err := d.Create(t.Context(), fmt.Sprintf("pvc-%d", i))
		if err == nil {
			err = d.Delete(t.Context(), warm)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	counter := open(t, d)

	var volumes [calls]*csi.Volume
	target := func(i int) string { return filepath.Join(d.Dir, fmt.Sprintf("target-%d", i)) }
	for _, test := range []struct {
		name string
		most int
		call func(i int) error
	}{
		// The record 30 (create, write, write, fsync, close), the claim of the path 19 (its link, which a brick may lose under
		// a name that others look up, so that it is linked to the claim's name then; the first name goes beside what puts
		// all on disk), the directory 6, owner and mode 6 each, and what puts all on disk 12 (open, times, fsync, close).
		{"CreateVolume", 84, func(i int) (err error) {
			volumes[i], err = d.Create(t.Context(), fmt.Sprintf("pvc-%d", i))
			return err
		}},
		{"NodePublishVolume", 0, func(i int) error { return d.Publish(t.Context(), volumes[i], target(i)) }},
		{"NodeUnpublishVolume", 0, func(i int) error { return d.Unpublish(t.Context(), volumes[i], target(i)) }},
		// Record and data 12 each, to be renamed, the claim of the path 16 (moved aside, removed), and what puts it
		// on disk 16 (open, times, fsync, close). Replicate tries its locks without waiting first, and asks for them
		// once more where somebody else has one, as the driver's own looks at its directories do: 2 to 4 a call. Where the
		// kernel has believed the record's name, as in this mode, its content is read apart from it: open, read, close, 5.
		{"DeleteVolume", 64, func(i int) error { return d.Delete(t.Context(), volumes[i]) }},
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

func open(t *testing.T, d *testdriver.Driver) *Counter {
	t.Helper()
	mountpoint, err := d.ClientMount("gv0")
	if err != nil {
		t.Fatal(err)
	}
	counter, err := Open(mountpoint, "gv0")
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
