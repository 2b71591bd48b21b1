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
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
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

// with is the trash with a store of Both.
func (s *Trash) with(theirs *store.Store) *Trash {
	t := *s
	t.Store, t.Creations = theirs, &creation.Creations{Store: theirs}
	return &t
}

// rename moves a file or directory of the driver's own, to a name that it may just have got from another host: the
// kernel may still know both names then, take them for those of one file, and do nothing. ErrBusy if so.
func rename(from *safepath.Dir, name string, to *safepath.Dir, newname string) error {
	if err := from.Rename(name, to, newname); err != nil {
		return err
	}
	absent, err := owndir.IsMissing(from, name)
	if err == nil && !absent {
		err = fmt.Errorf("%s/%s was just renamed by another controller: %w", from.Name(), name, volume.ErrBusy)
	}
	return err
}

// advance takes an entry a step further, unless another process has taken one: then it returns
// ErrBusy.
func (s *Trash) advance(e *store.TrashEntry, suffix string) error {
	err := rename(e.Dir, e.Base+e.Suffix, e.Dir, e.Base+suffix)
	if err != nil && volume.IgnoreNotExist(err) == nil {
		return fmt.Errorf("trash entry %s is being restored or removed by another process: %w", e.Name, volume.ErrBusy)
	}
	e.Suffix = suffix
	return err
}
