// SPDX-License-Identifier: Apache-2.0

package volume

import "github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"

// newVolumes
func newVolumes(s *Store, remembered *trashMemory, privileged func() (*safepath.Dir, func(), error)) *Store {
	s.remembered, s.slice, s.privileged = remembered, slice, privileged
	return s
}
