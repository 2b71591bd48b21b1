// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
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

// WriteStale replaces what is said of mounts that stay dead. It is for the one process that repairs.
func (r Root) WriteStale(all []Stale) error {
	path := filepath.Join(r.StateDir(), staleFile)
	var err error
	if len(all) == 0 {
		if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	} else {
		var data []byte
		if data, err = json.Marshal(all); err == nil {
			aside := path + ".new"
			err = errors.Join(os.WriteFile(aside, append(data, '\n'), 0o600), os.Rename(aside, path))
		}
	}
	if err != nil {
		return fmt.Errorf("tell the node plugin which mounts stay dead: %w", err)
	}
	return nil
}

// Stale reads what WriteStale has written, be it by a process that has ended.
func (r Root) Stale() ([]Stale, error) {
	path := filepath.Join(r.StateDir(), staleFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Stale
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}
