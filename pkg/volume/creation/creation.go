// SPDX-License-Identifier: Apache-2.0

// Package creation makes the place of a volume and takes it back: the record that says that it is being made, the path
// it has claimed, the directories on the way there.
//
// A record is made before anything else of a volume, and completed last: with the gfid of the directory the volume is
// there for everybody. What has begun and not come to its end is taken back by the repetition of the call, or by the
// reconciler: the record is moved aside (volumes/….json → creating/….revoked) first and looked at then, so a maker who
// goes on after all has either completed it before, and it goes back, or finds that it is gone. Nothing that holds data
// can go: only an empty directory is removed, and what is to go from a path is moved to a name of the driver's own
// first, looked at there, and put back if it is another's.
package creation

import "github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"

// Creations are what is half made on a Gluster volume. Its methods block as long as GlusterFS does.
type Creations struct {
	*store.Store
}
