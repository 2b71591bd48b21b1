// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

// Main is the TestMain of packages whose tests play. It does not return.
func Main(m *testing.M) {
	BeWriter()
	if err := wire.OwnNamespace(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testcluster.Main(m)
}

// NewCluster is a cluster for one test, with a gv0 of so many replica sets, and the wire at whose other end its servers
// are.
func NewCluster(t *testing.T, subvolumes int) (*testcluster.Cluster, *wire.Wire) {
	t.Helper()
	cable, err := wire.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cable.Close(); err != nil {
			t.Error(err)
		}
	})
	return testcluster.New(t, testcluster.Options{Replica: bricks, Subvolumes: subvolumes, Wire: cable}), cable
}
