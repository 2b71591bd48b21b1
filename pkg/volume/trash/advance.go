// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// rename moves a file or directory of the driver's own, to a name that it may just have got from another host: the
// kernel may still know both names then, take them for those of one file, and do nothing. ErrBusy if so.
func rename(from *safepath.Dir, name string, to *safepath.Dir, newname string) error {
	if err := from.Rename(name, to, newname); err != nil {
		return err
	}
	absent, err := store.IsMissing(from, name)
	if err == nil && !absent {
		err = fmt.Errorf("%s/%s was just renamed by another controller: %w", from.Name(), name, volume.ErrBusy)
	}
	return err
}

// advance takes an entry a step further, unless another process has taken one: then it returns
// ErrBusy.
func (s *Trash) advance(e *store.TrashEntry, suffix string) error {
	err := rename(e.Dir, e.Name+e.Suffix, e.Dir, e.Name+suffix)
	if err != nil && volume.IgnoreNotExist(err) == nil {
		return fmt.Errorf("trash entry %s is being restored or removed by another process: %w", e.Name, volume.ErrBusy)
	}
	e.Suffix = suffix
	return err
}
