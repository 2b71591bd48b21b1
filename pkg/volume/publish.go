// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// WholePath is the path of a volume that is the whole Gluster volume.
const WholePath = "/"

// Access says how a volume is to be published.
type Access struct {
	ID string
	// Path and Owner come from the volume context. They count only for a volume that
	// has no record, a directory that an operator made: WholePath, or relative.
	Path  string
	Owner Owner
	// Group, where set, is to be able to read and write everything, before the
	// group and mode of Owner.
	Group    *uint32
	ReadOnly bool
}

// Directory returns the directory to publish and its path from the Gluster volume's
// root ("/pvc-1"), after setting on it what the class (or
// the volume context) asked for by name. Only the directory itself is looked at; what
// is below it is grantGroup's. Errors: ErrNotFound, ErrForeign (the mark is another's),
// ErrBusy (being made), ErrInvalid (the whole Gluster volume for a group, among others), ErrNested (a directory without a
// record that is in a volume), and what the Gluster volume says.
func (s *Store) Directory(ctx context.Context, a Access) (dir *safepath.Dir, root string, err error) {
	rel, owner, want, err := s.locate(ctx, a)
	if err != nil {
		return nil, "", err
	}
	dir, err = s.root.Open(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("%s has no directory %s for volume %s: %w: was it removed by hand? see `glusterfs-csi trash list`", s.volume, rel, a.ID, ErrNotFound)
	}
	if err != nil {
		return nil, "", explain(fmt.Errorf("open the directory of volume %s on %s: %w", a.ID, s.volume, notADirectory(err)))
	}
	err = s.mayPublish(dir, a.ID, rel, want)
	if err == nil && !a.ReadOnly {
		err = own(dir, owner, a.Group != nil)
	}
	if err != nil {
		dir.Close()
		return nil, "", explain(err)
	}
	return dir, path.Join("/", rel), nil
}

// locate returns the path and the owner asked for, and the mark that the directory must have,
// from the record where there is one.
func (s *Store) locate(ctx context.Context, a Access) (path string, owner Owner, mark string, err error) {
	r, err := s.Get(a.ID)
	switch {
	case err == nil && a.Path != "" && a.Path != r.Path:
		return "", Owner{}, "", fmt.Errorf("volume %s on %s: %w: its path is %q, the volume context says %q", a.ID, s.volume, ErrInvalid, r.Path, a.Path)
	case err == nil:
		return r.Path, r.Owner, r.mark(), nil
	case !errors.Is(err, ErrNotFound) || a.Path == "":
		return "", Owner{}, "", err
	case a.Path == WholePath && a.Group != nil && !a.ReadOnly:
		return "", Owner{}, "", fmt.Errorf("volume %s is the whole of %s: %w: a group (fsGroup) would get the files of every volume on it and the driver's records; "+
			"leave fsGroup out of the pod, or publish a directory", a.ID, s.volume, ErrInvalid)
	case a.Path == WholePath:
		klog.FromContext(ctx).Info("Publishing a whole Gluster volume: root in the pod sees every volume on it, the driver's records and its trash", "glusterVolume", s.volume.String(), "volume", a.ID)
		return ".", a.Owner, "", nil
	}
	if err := CheckPath(a.Path); err != nil {
		return "", Owner{}, "", err
	}
	return a.Path, a.Owner, "", s.liesInNoVolume(a.Path)
}

// mayPublish refuses a directory that carries another mark than its volume's. One without a
// record must have none: it may be a volume that is being made, or has just been deleted.
func (s *Store) mayPublish(dir *safepath.Dir, id, rel, want string) error {
	mark, making, err := whose(dir)
	switch {
	case err != nil:
		return err
	case making:
		return fmt.Errorf("directory %s on %s is being made: %w", rel, s.volume, ErrBusy)
	case mark == want:
		return nil
	case mark == "":
		return s.foreign(dir, id, mark)
	}
	return fmt.Errorf("directory %s on %s belongs to volume %s, not to %s: %w", rel, s.volume, stampedID(mark), id, ErrForeign)
}

// own sets what was asked for by name and is not so. Where a group is granted, it
// decides about group and mode.
func own(dir *safepath.Dir, owner Owner, granted bool) error {
	if granted {
		owner.GID, owner.Mode = nil, nil
	}
	if owner == (Owner{}) {
		return nil
	}
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	uid, gid, mode := or(owner.UID, st.Uid), or(owner.GID, st.Gid), or(owner.Mode, Mode(st.Mode&0o7777))
	chown := uid != st.Uid || gid != st.Gid
	if chown {
		if err := dir.Chown(int(uid), int(gid)); err != nil {
			return err
		}
	}
	// A change of owner may have cleared setgid.
	if chown || uint32(mode) != st.Mode&0o7777 {
		return dir.Chmod(uint32(mode))
	}
	return nil
}
