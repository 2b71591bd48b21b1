// SPDX-License-Identifier: Apache-2.0

package owndir

import (
	"fmt"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// openTop opens the directory that has all others of the driver's own. It refuses one that is not root's: whoever owns
// it decides what the driver deletes. Its mode says nothing of whose it is, since bricks may be told to give each
// directory another one (TestDirectoriesWhoseModeTheBricksForceAreTheDriversOwn).
func (o *Directory) openTop() (*safepath.Dir, error) {
	top, err := o.Root.Open(volume.OwnDir)
	if err != nil {
		return nil, err
	}
	st, err := top.Stat()
	if err == nil && st.Uid != 0 {
		err = fmt.Errorf("%s on %s belongs to uid %d: %w: it must be root's alone (chown 0:0, chmod 0700) once you know who made it",
			volume.OwnDir, o.Volume, st.Uid, volume.ErrForeign)
	}
	if err != nil {
		top.Close()
		return nil, err
	}
	if st.Mode&0o077 != 0 {
		o.closeTop(top, st)
	}
	return top, nil
}

// closeTop makes the directory root's alone again, as it is after bricks have forced another mode, unless they do so
// still: then whoever reaches the root of the Gluster volume reaches all that is there. No pod does, but those of a
// PersistentVolume of the whole Gluster volume.
func (o *Directory) closeTop(top *safepath.Dir, was unix.Stat_t) {
	err := top.Chmod(0o700)
	var st unix.Stat_t
	if err == nil {
		st, err = top.Stat()
	}
	if err == nil && st.Mode&0o077 == 0 {
		klog.Background().Info("The driver's own directory was open to others than root, and is root's alone again",
			"glusterVolume", o.Volume.String(), "directory", volume.OwnDir, "mode", fmt.Sprintf("%04o", was.Mode&0o7777))
	}
	// Where it cannot be changed, it serves as it is: nothing is decided by it.
}
