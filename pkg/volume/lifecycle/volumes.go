// SPDX-License-Identifier: Apache-2.0

// Package lifecycle is what may be done with the volumes of one Gluster volume: create, adopt, delete, restore,
// publish, expand, modify, and to finish what was interrupted.
//
// The order of the steps is such that a kill between any two of them leaves a record in a place from which the
// repetition of the call, or Reconcile, goes on: TestKilledAtEveryPoint. What is acknowledged is on the disks of all
// bricks that are up.
package lifecycle

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// Volumes are those of one Gluster volume, seen through one client. Its methods block as long as GlusterFS does. Two
// calls on the same volume must not run at the same time in one process; in two processes they may, and end as one of
// them would.
type Volumes struct {
	*store.Store

	Creations *creation.Creations
	Trash     *trash.Trash
	// Privileged opens the root by the client that sets limits; release is to be called once.
	Privileged func() (root *safepath.Dir, release func(), err error)
	// Headroom is how much of the end of a volume bricks ask about with each write, in bytes.
	Headroom int64

	remembered *trash.Memory
}

// New returns the volumes of a Gluster volume, for a process that remembers its trash. Until Privileged is set, none
// can be held to its capacity.
func New(s *store.Store, remembered *trash.Memory) *Volumes {
	t := trash.New(s, remembered)
	return &Volumes{Store: s, Creations: t.Creations, Trash: t, remembered: remembered, Headroom: quota.DefaultHeadroom, Privileged: func() (*safepath.Dir, func(), error) {
		return nil, nil, fmt.Errorf("%s: %w: there is no client here that sets limits", s.Volume, volume.ErrInvalid)
	}}
}

// both is Store.Both of what is done with volumes.
func (v *Volumes) both(one, other func(*Volumes) error) error {
	with := func(do func(*Volumes) error) func(*store.Store) error {
		return func(s *store.Store) error {
			return do(v.with(s))
		}
	}
	return v.Both(with(one), with(other))
}

// with are the volumes with a store of Both.
func (v *Volumes) with(theirs *store.Store) *Volumes {
	all := New(theirs, v.remembered)
	all.Privileged, all.Headroom = v.Privileged, v.Headroom
	return all
}
