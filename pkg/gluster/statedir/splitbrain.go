// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"path/filepath"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// Split are the files of a Gluster volume that its bricks disagree on, as far as this host's pods have met them.
type Split struct {
	gluster.Volume

	Files []string `json:"files"` // paths from the Gluster volume's root
}

// splitFile is in the state directory, as long as there is one.
const splitFile = "split.json"

// WriteSplit replaces what is said of such files. It is for the one process that publishes.
func (r Root) WriteSplit(all []Split) error {
	return writeList(filepath.Join(r.StateDir(), splitFile), all)
}

// Split reads what WriteSplit has written, be it by a process that has ended.
func (r Root) Split() ([]Split, error) {
	return readList[Split](filepath.Join(r.StateDir(), splitFile))
}
