// SPDX-License-Identifier: Apache-2.0

// Package cache says where the end-to-end tests keep what does not belong into the repository.
//
//	bin/      programs, each with the key of what it was built from
//	images/   image archives
//	run/      the cluster that runs: certificates, and the disk of each machine. Gone with the cluster
//	log/      the logs of the last cluster. They stay until the next one starts
package cache

import (
	"os"
	"path/filepath"
)

// Path is that of something in the cache: ${XDG_CACHE_HOME:-$HOME/.cache}/glusterfs-csi-e2e/….
func Path(elements ...string) string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = "/var/cache" // a service without a home
	}
	return filepath.Join(append([]string{base, "glusterfs-csi-e2e"}, elements...)...)
}
