// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func TestNoMountOptionsAskForThePrivilegedClient(t *testing.T) {
	for _, option := range append(gluster.PrivilegedOptions(), "client-pid=-5") {
		a, err := parseCapability(capability(manyWriters, "acl", option))
		code(t, toStatus(err), codes.InvalidArgument, option)
		if gluster.IsPrivileged(a.options) {
			t.Errorf("%s is let through: %q", option, a.options)
		}
	}
}
