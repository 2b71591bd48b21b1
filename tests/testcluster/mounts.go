// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

// mountsVariable is the process that has a mount namespace of its own, by its number.
const mountsVariable = "GLUSTERFS_CSI_TEST_MOUNTS"

// ownMounts returns in a process whose mount namespace is this run's alone: it starts the program again in one, under
// the same process number, the first time. What other runs have mounted is not in it, and what this one mounts is in
// no other. Otherwise each container, each driver and each thread with a mount namespace of its own that another run
// starts had a copy of all that is mounted on the machine, and a client whose mount was detached went on until the
// last of them ended (TestWhatARunMountsIsInNoContainerOfAnother).
func ownMounts() error {
	own := strconv.Itoa(os.Getpid())
	if os.Getenv(mountsVariable) == own {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Setenv(mountsVariable, own); err != nil {
		return err
	}
	otherRuns := filepath.Join(os.TempDir(), runPrefix)
	return thread.Discard(func() error {
		if err := privateNamespace(); err != nil {
			return err
		}
		if err := detachForeign(func(at string) bool { return strings.HasPrefix(at, otherRuns) }); err != nil {
			return err
		}
		return syscall.Exec(program, os.Args, os.Environ()) // the thread becomes the process
	})
}
