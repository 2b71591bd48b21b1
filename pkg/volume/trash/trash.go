// SPDX-License-Identifier: Apache-2.0

// Package trash is where deleted volumes are until their time is up.
//
// How far an entry has come is said by the name of its record, which is renamed from one state to the next in one step
// that only one process can take:
//
//	volumes/….json → trash/….json    deleted: the data follows
//	trash/….json   → trash/….held    kept until it is released (→ trash/….json) or restored
//	trash/….json   → trash/….back    being restored: when the data is back, a new record is made
//	trash/….json   → trash/….doomed  being removed for good
//
// Renaming and removing need no free space (GlusterFS refuses everything else on a full volume), so deleting always
// works. Before anything is removed, each brick is asked where it has the directory, and no volume that is there may
// have its gfid. A server that loses its power may bring a record back: which of an entry and a record counts is said
// by their generation (generation.go). An entry goes when it is due by its stamp and this process has seen it for long
// enough (due.go).
package trash

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Trash is that of one Gluster volume. Its methods block as long as GlusterFS does.
type Trash struct {
	*store.Store

	Creations *creation.Creations
	// Slice is how many files and directories of one entry are removed in a round.
	Slice int64

	remembered *Memory
}

// New returns the trash of a Gluster volume, for a process that remembers it.
func New(s *store.Store, remembered *Memory) *Trash {
	return &Trash{Store: s, Creations: &creation.Creations{Store: s}, Slice: slice, remembered: remembered}
}
