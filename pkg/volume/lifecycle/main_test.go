// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestMain(m *testing.M) {
	child()
	testcluster.Main(m)
}

// child does what this process was started for by a test, and does not return then.
var child = func() {}

func nothing(*lifecycle.Volumes) error { return nil }

// oneByOne has a store do one after the other what it would do beside each other: what is under way when a process is
// killed comes to its end a moment later, and may leave an empty parent directory behind all that looks for it now.
func oneByOne(s *lifecycle.Volumes, otherFirst bool) {
	permit, err := permits.New(1, func() []gluster.Volume { return []gluster.Volume{volumes.GV0} }).Acquire(volumes.Background, volumes.GV0)
	if err != nil {
		panic(err)
	}
	if otherFirst {
		permit = permit.OtherFirst()
	}
	s.Permit = permit
}
