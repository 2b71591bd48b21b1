// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"os"
	"path/filepath"
)

// removeControlGroups removes the control groups of clients that mounters have left that were killed, here or in another run: those that nothing is in.
func removeControlGroups() {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		for _, below := range []string{"*/*", "*", ""} {
			empty, _ := filepath.Glob(filepath.Join(root, "glusterfs-csi", below)) // the pattern is good
			for _, dir := range empty {
				_ = os.Remove(dir) // the kernel removes none that has a process or another below
			}
		}
	}
}
