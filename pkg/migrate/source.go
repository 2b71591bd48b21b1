// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// parsePath splits the path of the old plugin, which it gave to mount(8) as it was: gv0, /gv0, gv0/a/b.
func parsePath(old string) (volume, directory string, err error) {
	trimmed := strings.Trim(old, "/")
	if trimmed == "" {
		return "", "", errors.New("it has no path, which would name the Gluster volume")
	}
	volume, below, _ := strings.Cut(trimmed, "/")
	if err := (gluster.Volume{Cluster: "x", Name: volume}).Validate(); err != nil {
		return "", "", fmt.Errorf("its path %q does not begin with the name of a Gluster volume: a name has letters, digits, hyphens and underscores", old)
	}
	directory, err = cleanDirectory(below)
	if err != nil {
		return "", "", fmt.Errorf("its path %q: %w", old, err)
	}
	return volume, directory, nil
}

// cleanDirectory returns a directory below the root of a Gluster volume as volumeAttributes have it: "/" is the root.
func cleanDirectory(below string) (string, error) {
	clean := path.Clean(below)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", errors.New("it leads out of the Gluster volume")
	}
	if clean == "." || clean == "/" {
		return "/", nil
	}
	if strings.HasPrefix(clean, ".glusterfs-csi") || strings.HasPrefix(clean, ".glusterfs/") || clean == ".glusterfs" {
		return "", errors.New("this directory is not for pods")
	}
	return strings.TrimPrefix(clean, "/"), nil
}
