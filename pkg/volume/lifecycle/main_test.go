// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) {
	child()
	testcluster.Main(m)
}

// child does what this process was started for by a test, and does not return then.
var child = func() {}
