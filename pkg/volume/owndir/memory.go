// SPDX-License-Identifier: Apache-2.0

package owndir

import (
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ages"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// Memory is what a process remembers of the driver's own directory on one Gluster volume from one operation to the
// next. It may be used by many at once.
type Memory struct {
	makings ages.Sightings

	// left are the links that were made to be linked to the name that they claim, and are listed: see claims.go.
	left ages.Sightings

	flat   emptied
	freed  freed
	commit func(mount *safepath.Dir) error
}

// NewMemory is that of a process that knows nothing. What was done is put on the disks of all bricks by commit, which
// gets the root of a client's mount and blocks as long as GlusterFS does.
func NewMemory(commit func(mount *safepath.Dir) error) *Memory { return &Memory{commit: commit} }

// emptied are the kinds of files of which none is left where all were before they were spread.
type emptied struct {
	mu    sync.Mutex
	kinds map[string]bool
}

func (e *emptied) isEmpty(kind string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kinds[kind]
}

func (e *emptied) set(kind string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kinds == nil {
		e.kinds = map[string]bool{}
	}
	e.kinds[kind] = true
}

// IsSpread says whether none of a kind is left where all were before they were spread.
func (o *Directory) IsSpread(kind string) bool { return o.memory.flat.isEmpty(kind) }

// SetSpread says that none is.
func (o *Directory) SetSpread(kind string) { o.memory.flat.set(kind) }

// IsAbandoned says of what was begun, and has not changed since, whether nobody has taken it up for so long that the reconciler does.
func (o *Directory) IsAbandoned(of *ages.Sightings, stamp string) bool {
	return of.Age(stamp) >= o.Abandoned
}

// lostAfter is how much longer than what is abandoned something has to be missed before what belongs to it goes that cannot be
// made again: the reconciler looks once an hour, and of two looks each may come at a bad moment. It is a day.
const lostAfter = 24

// IsLost says whether something has been missed, or has not changed, in each look of a day.
func (o *Directory) IsLost(of *ages.Sightings, what string) bool {
	return of.Age(what) >= lostAfter*o.Abandoned
}
