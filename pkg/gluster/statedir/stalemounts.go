// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"fmt"
	"path/filepath"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// staleFile is in the state directory. It is there as long as it has something to say.
const staleFile = "stale.json"

// Stale is what mounts of a dead client show in one container, and stays dead there: they cannot be repaired.
type Stale struct {
	gluster.Volume

	Pod    string `json:"pod"`    // its UID in Kubernetes; "" of a process that is in no pod
	PID    int    `json:"pid"`    // a process (or thread) that sees them
	Root   string `json:"root"`   // of the mounts, from the top of the Gluster volume
	Target string `json:"target"` // of one of them, as the process sees it
	Reason string `json:"reason"`
}

// Describe says whose they are, and the cure.
func (s Stale) Describe() string {
	whose := fmt.Sprintf("process %d, which is in no pod", s.PID)
	if s.Pod != "" {
		whose = fmt.Sprintf("pod %s (process %d)", s.Pod, s.PID)
	}
	return fmt.Sprintf("restart %s: what it has of %s at %s, directory %s, has been dead since its client ended: %s", whose, s.Volume, s.Target, s.Root, s.Reason)
}

// WriteStale replaces what is said of mounts that stay dead. It is for the one process that repairs.
func (r Root) WriteStale(all []Stale) error {
	if err := writeList(filepath.Join(r.StateDir(), staleFile), all); err != nil {
		return fmt.Errorf("which mounts stay dead: %w", err)
	}
	return nil
}

// Stale reads what WriteStale has written, be it by a process that has ended.
func (r Root) Stale() ([]Stale, error) {
	return readList[Stale](filepath.Join(r.StateDir(), staleFile))
}
