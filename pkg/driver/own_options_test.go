// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// What copies read through another client would lack ACLs, and what changed within the last second.
func TestTheControllersOwnClientSeesACLsAndBelievesNoName(t *testing.T) {
	options := ownOptions(Controller)
	if !slices.Contains(options, gluster.ACL) || !slices.Contains(options, gluster.FreshNames) {
		t.Errorf("it has %q", options)
	}
	if arguments := gluster.Arguments("gv0", options); !slices.Contains(arguments, "--acl") {
		t.Errorf("it is started with %q", arguments)
	}
	if _, err := gluster.NormalizeOptions(options); err != nil {
		t.Error(err)
	}
}
