// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"maps"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// Memory is what a process remembers of the trash of one Gluster volume from one round of the reaper to the next.
type Memory struct {
	onDelete noted
	live     live
}

// noted remembers what the records of trash entries say to the reaper: neither a record nor what was changed
// of a volume changes there, and the trash may have 100,000 entries.
type noted struct {
	mu sync.Mutex
	of map[string]volume.OnDelete // by the entry's name
}

func (n *noted) get(name string) (volume.OnDelete, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	onDelete, known := n.of[name]
	return onDelete, known
}

func (n *noted) put(name string, onDelete volume.OnDelete) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]volume.OnDelete{}
	}
	n.of[name] = onDelete
}

// keep forgets all but these names.
func (n *noted) keep(names map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.of, func(name string, _ volume.OnDelete) bool { return !names[name] })
}
