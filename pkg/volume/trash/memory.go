// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"maps"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Memory is what a process remembers of the trash of one Gluster volume from one round of the reaper to the next.
type Memory struct {
	// Low, if it is set, is told that the Gluster volume is nearly as full as it may be before trash goes before its time: once
	// for each entry that would be the next.
	Low func(Low)

	onDelete noted
	live     live
	toldLow  string // the name of the entry that was told last; the reaper's alone
}

// Low is what trash there is while space is low.
type Low struct {
	Next    store.TrashEntry // that goes first, with its record
	Waiting int              // entries that go before their time if it must be
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
