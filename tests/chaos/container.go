// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dataDir is where a container sees its volume.
const dataDir = "/data"

// enterContainer moves the process, which has a mount namespace of its own with nothing
// shared, into a new root at an empty directory, with the publish target bound at dataDir:
// what a container runtime does for a volumeMount without mountPropagation.
func enterContainer(root, target string) error {
	if err := unix.Mount("container", root, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	data := filepath.Join(root, dataDir)
	if err := os.Mkdir(data, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(target, data, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	if err := unix.Mount("", data, "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the bind private: %w", err)
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	return os.Chdir("/")
}
