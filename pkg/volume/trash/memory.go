// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"maps"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Memory is what a process remembers of the trash of one Gluster volume from one round of the reaper to the next.
type Memory struct {
	// Low, if it is set, is told that the Gluster volume is nearly as full as it may be before trash goes before its
	// time: once for each entry that would be the next.
	Low func(Low)

	noted   noted
	live    live
	toldLow string // the name of the entry that was told last; the reaper's alone

	mu      sync.Mutex
	seen    Content
	removed int64
}

// Low is what trash there is while space is low.
type Low struct {
	Next    store.TrashEntry // that goes first, with its record
	Waiting int              // entries that go before their time if it must be
}

// Content is what the reaper has seen in the trash of a Gluster volume.
type Content struct {
	Entries, Held int       // Held of the Entries are kept until they are released
	Bytes         int64     // capacities of those that are not held, together
	Oldest        time.Time // when the oldest that is not held, and no others', was deleted; zero without
	Others        int       // of those that are not held, what other Kubernetes clusters deleted
}

// add counts an entry that is not held; they come the oldest first.
func (c *Content) add(e store.TrashEntry, of note, own string) {
	c.Bytes += of.capacity
	switch {
	case volume.IsOthers(e.Kubernetes(), own):
		c.Others++
	case c.Oldest.IsZero():
		c.Oldest = e.Deleted
	}
}

// Seen is what the reaper's last look at the trash has found, and how many files and directories it has removed since
// Seen was called last.
func (m *Memory) Seen() (content Content, removed int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, removed, m.removed = m.seen, m.removed, 0
	return content, removed
}

func (m *Memory) see(c Content) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = c
}

func (m *Memory) countRemoved() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed++
}

// noted remembers what the records of trash entries say to the reaper: neither a record nor what was changed
// of a volume changes there, and the trash may have 100,000 entries. Only whose an entry is may change, by a command that
// takes it over: until this process ends, or the entry is due, the reaper leaves it to the one before.
type noted struct {
	mu sync.Mutex
	of map[string]note // by the entry's name
}

// note is of one entry.
type note struct {
	onDelete   volume.OnDelete
	capacity   int64
	kubernetes string
}

func (n *noted) get(name string) (note, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	of, known := n.of[name]
	return of, known
}

func (n *noted) put(name string, of note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]note{}
	}
	n.of[name] = of
}

// keep forgets all but these names.
func (n *noted) keep(names map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.of, func(name string, _ note) bool { return !names[name] })
}
