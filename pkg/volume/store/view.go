// SPDX-License-Identifier: Apache-2.0

package store

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// View is what is open of a Gluster volume through one client: its root and the driver's own directories. Operations
// share it, as each name on the way to a directory that is looked up anew is a round trip to the bricks.
type View struct {
	volume gluster.Volume
	root   *safepath.Dir
	dirs   ownDirs
}

// OpenView is the view from a client's mount point. It asks GlusterFS nothing, and keeps the mount alive until it is
// closed.
func OpenView(v gluster.Volume, mountpoint string) (*View, error) {
	root, err := safepath.OpenRoot(mountpoint)
	if err != nil {
		return nil, volume.Explain(v, err)
	}
	return &View{volume: v, root: root.Called(v.String())}, nil
}

// Close is called once, when no operation uses the view any more.
func (v *View) Close() {
	v.dirs.close()
	v.root.Close()
}
