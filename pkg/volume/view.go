// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// view is what is open of a Gluster volume through one client: its root and the driver's own directories. Operations share
// it, as each name on the way to a directory that is looked up anew is a round trip to the bricks.
type view struct {
	volume gluster.Volume
	root   *safepath.Dir
	dirs   ownDirs
}

// openView is the view from a client's mount point. It asks GlusterFS nothing, and keeps the mount alive until it is
// closed.
func openView(v gluster.Volume, mountpoint string) (*view, error) {
	root, err := safepath.OpenRoot(mountpoint)
	if err != nil {
		return nil, explain(v, err)
	}
	return &view{volume: v, root: root.Called(v.String())}, nil
}

// close is called once, when no operation uses the view any more.
func (v *view) close() {
	v.dirs.close()
	v.root.Close()
}
