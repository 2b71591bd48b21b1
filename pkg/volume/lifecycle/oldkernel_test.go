// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// Under qemu-user, where the tests run as arm64, a process cannot run itself again.

package lifecycle_test

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
)

func TestLinksAreNeverFollowedOnLinux5_4(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux5_4, linksAreNeverFollowed)
}
