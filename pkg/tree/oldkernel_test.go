// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// Under qemu-user, where the tests run as arm64, a process cannot run itself again.

package tree

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
)

func TestNoLinkIsFollowedOnLinux5_4(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux5_4, func(t *testing.T) {
		t.Run("that was there", TestNoLinkIsFollowed)
		t.Run("that comes during the walk", TestNoLinkIsFollowedThatComesDuringTheWalk)
		t.Run("instead of a directory that was let go", TestADirectoryThatWasMovedIsNotUsed)
		t.Run("nor a mount entered", TestAMountIsNeitherEnteredNorChanged)
	})
}
