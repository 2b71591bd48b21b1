// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// What the first version of this driver has left on a Gluster volume: directories that are known by a mark (takeOver
// gives them a gfid), parents by another, and creations that were killed half-way, whose directory has a mode that
// nobody else would give it, and no mark yet or the one of its record.

const (
	// parentXattr marks a directory that the driver made to hold volumes.
	parentXattr = "trusted.csi.parent"

	// unmarkedMode is the mode of a volume's directory between its mkdir and its mark, unmarkedParentMode that of a
	// parent. setgid may come on top, from the directory above.
	unmarkedMode       = 0o1000
	unmarkedParentMode = 0o1100
)

// isMarkedFor says whether a directory was made for a creation of schema 1.
func (s *Creations) isMarkedFor(dir *safepath.Dir, r volume.Record) (bool, error) {
	mark, err := dir.Xattr(store.MarkXattr)
	if err != nil || mark != "" {
		return mark == r.Stamp(), err
	}
	return hasMode(dir, unmarkedMode)
}

// removeMarkedParent removes a directory that the first version of the driver made to hold volumes, if it is empty.
func (s *Creations) removeMarkedParent(ancestor string) (removed bool, err error) {
	dir, err := s.Root.Open(ancestor)
	switch {
	case errors.Is(err, safepath.ErrLink), errors.Is(err, unix.ENOTDIR):
		return false, nil // neither is the driver's
	case err != nil:
		return volume.IsNotThere(err), volume.IgnoreNotExist(err)
	}
	defer dir.Close()
	mark, err := dir.Xattr(parentXattr)
	made := mark != ""
	if err == nil && !made {
		made, err = hasMode(dir, unmarkedParentMode)
	}
	if err != nil || !made {
		return false, err
	}
	return s.removeEmptyParent(ancestor)
}

func hasMode(dir *safepath.Dir, mode uint32) (bool, error) {
	st, err := dir.Stat()
	return err == nil && st.Uid == 0 && st.Mode&0o7777&^unix.S_ISGID == mode, err
}

// undoUnmarked takes back the creations of schema 1 of a volume: their directory may be what is in its way. ErrBusy if
// there was one: what was in the way may be gone now.
func (s *Creations) undoUnmarked(id string) error {
	all, err := s.HalfMadeOf(id)
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range all {
		if r, err := store.ReadRecord(b.Dir, b.Name); err != nil || r.Schema > 1 {
			continue // of this version, or not to be judged here
		}
		err := fmt.Errorf("an earlier creation of it is cleared away: %w", volume.ErrBusy)
		if !s.MayGoOn(&s.Memory.Creations, b.Stamp) {
			err = errors.Join(err, s.Undo(b))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
