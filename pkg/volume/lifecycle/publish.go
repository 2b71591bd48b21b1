// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// stepOpened is the named point between the look at a path and what is to be published there.
const stepOpened = "publish: directory opened"

// WholePath is the path of a volume that is the whole Gluster volume.
const WholePath = "/"

// Access says how a volume is to be published.
type Access struct {
	ID string
	// Path and Owner come from the volume context. They count only for a volume that
	// has no record, a directory that an operator made: WholePath, or relative.
	Path  string
	Owner volume.Owner
	// Group, where set, is to be able to read and write everything, before the
	// group and mode of Owner.
	Group    *uint32
	ReadOnly bool
}

// Directory returns the directory to publish and its path from the Gluster volume's
// root ("/pvc-1"), after setting on it what the class (or
// the volume context) asked for by name. Only the directory itself is looked at; what
// is below it is GrantGroup's. Errors: ErrNotFound, ErrForeign (it is another's), ErrNested (a directory
// without a record that lies in a volume), ErrBusy (being made), ErrInvalid (the whole Gluster volume for a group,
// among others), and what the Gluster volume says.
func (s *Volumes) Directory(ctx context.Context, a Access) (dir *safepath.Dir, root string, err error) {
	var rel string
	var owner volume.Owner
	var r *volume.Record
	// Where it most likely is, it is opened beside the look at the record, which says whether it is the one.
	err = s.both(func(s *Volumes) (err error) {
		rel, owner, r, err = s.locate(ctx, a)
		return err
	}, func(s *Volumes) error {
		if volume.CheckPath(a.Path) == nil {
			dir, _ = s.Root.Open(a.Path)
			s.Step(stepOpened)
		}
		return nil
	})
	if err != nil {
		if dir != nil {
			dir.Close()
		}
		return nil, "", err
	}
	dir, err = s.openFound(dir, a.ID, rel, r)
	if err != nil {
		return nil, "", err
	}
	if !a.ReadOnly {
		err = mendOwner(dir, owner, a.Group != nil)
	}
	if err != nil {
		dir.Close()
		return nil, "", s.Explain(err)
	}
	return dir, path.Join("/", rel), nil
}

// openFound returns the directory that is to be published: what was opened before, if that is the volume's, or else
// what is at the path by now (TestADirectoryThatIsDeletedMeanwhileIsNotPublishedAsNobodys).
func (s *Volumes) openFound(before *safepath.Dir, id, rel string, r *volume.Record) (*safepath.Dir, error) {
	if before != nil {
		if r != nil && s.CheckIdentity(before, *r) == nil {
			return before, nil
		}
		before.Close()
		s.Refresh(rel) // what the kernel knows by now may be gone; what is in the trash isInTrash finds
	}
	dir, err := s.Root.Open(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no directory %s for volume %s: %w: was it removed by hand? see `glusterfs-csi trash list`", s.Volume, rel, id, volume.ErrNotFound)
	}
	if err != nil {
		return nil, s.Explain(fmt.Errorf("open the directory of volume %s on %s: %w", id, s.Volume, volume.NotADirectory(err)))
	}
	if r != nil {
		err = s.CheckIdentity(dir, *r)
	} else {
		err = s.isNobodys(dir, id, rel)
	}
	if err != nil {
		dir.Close()
		return nil, s.Explain(err)
	}
	return dir, nil
}

// locate returns the path and the owner asked for, from the record where there is one.
func (s *Volumes) locate(ctx context.Context, a Access) (path string, owner volume.Owner, r *volume.Record, err error) {
	have, owner, err := s.getOrBusy(a)
	switch {
	case err == nil && a.Path != "" && a.Path != have.Path:
		return "", volume.Owner{}, nil, fmt.Errorf("volume %s on %s: %w: its path is %q, the volume context says %q", a.ID, s.Volume, volume.ErrInvalid, have.Path, a.Path)
	case err == nil:
		return have.Path, owner, &have, nil
	case !errors.Is(err, volume.ErrNotFound) || a.Path == "":
		return "", volume.Owner{}, nil, err
	case a.Path == WholePath && a.Group != nil && !a.ReadOnly:
		return "", volume.Owner{}, nil, fmt.Errorf("volume %s is the whole of %s: %w: a group (fsGroup) would get the files of every volume on it and the driver's records; "+
			"leave fsGroup out of the pod, or publish a directory", a.ID, s.Volume, volume.ErrInvalid)
	case a.Path == WholePath:
		klog.FromContext(ctx).Info("Publishing a whole Gluster volume: root in the pod sees every volume on it, the driver's records and its trash", "glusterVolume", s.Volume.String(), "volume", a.ID)
		return ".", a.Owner, nil, nil
	}
	if err := volume.CheckPath(a.Path); err != nil {
		return "", volume.Owner{}, nil, err
	}
	return a.Path, a.Owner, nil, nil
}

// getOrBusy is Get, and ErrBusy for a volume that is being made. With it comes the owner to be mended, which a
// read-only publish leaves as it is.
func (s *Volumes) getOrBusy(a Access) (r volume.Record, owner volume.Owner, err error) {
	var f store.Lookup
	var seen store.Changed
	if a.ReadOnly {
		f, err = s.Find(a.ID)
	} else {
		f, seen, err = s.FindChanged(a.ID)
		owner = seen.ApplyTo(f.Record).Owner
	}
	switch {
	case err == nil && f.State == store.Absent:
		err = fmt.Errorf("volume %s on %s: %w", a.ID, s.Volume, volume.ErrNotFound)
	case err == nil && f.State == store.Begun:
		err = fmt.Errorf("volume %s on %s is just being made: %w", a.ID, s.Volume, volume.ErrBusy)
	}
	return f.Record, owner, err
}

// isNobodys refuses a directory that belongs to a volume, or lies in one: it may be one that is being made, or has
// just been deleted.
func (s *Volumes) isNobodys(dir *safepath.Dir, id, rel string) error {
	if rel == "." {
		return nil
	}
	held, err := s.Creations.WhoHolds(dir, rel)
	if err == nil && held.Stamp != "" && !held.Parent {
		return s.anothers(id, rel, held)
	}
	for _, ancestor := range creation.Ancestors(rel) {
		if err != nil {
			return err
		}
		var above *safepath.Dir
		if above, err = s.Root.Open(ancestor); err != nil {
			return err
		}
		held, err = s.Creations.WhoHolds(above, ancestor)
		if err == nil {
			err = s.isInTrash(above, ancestor)
		}
		above.Close()
		if err == nil && held.Stamp != "" && !held.Parent {
			err = fmt.Errorf("directory %s of volume %s lies in another: %w: publish that volume, with a subPath", rel, id, s.Creations.NestedError(ancestor, held))
		}
	}
	if err != nil {
		return err
	}
	return s.isInTrash(dir, rel)
}

// isInTrash returns an ErrBusy if a brick has a directory in the trash that nobody has; of what lies below one, each that
// is above is asked for. A deletion moves it, and then gives up the path; and a node's kernel believes for a second what
// it knew of the name, also where it is to ask anew, since the directory is there, if elsewhere
// (TestANodeDoesNotPublishAsNobodysWhatIsInTheTrash). Another place than the path is no reason: a brick's answer does not
// tell of every name where it ends.
func (s *Volumes) isInTrash(dir *safepath.Dir, rel string) error {
	all, err := store.BricksOf(dir)
	for _, at := range all {
		if _, _, isEntry := volume.ParseEntryBase(at.Name()); isEntry && at.Name() != path.Base(rel) {
			return fmt.Errorf("directory %s on %s was just deleted, and is %s in the trash: %w: see `glusterfs-csi trash list`", rel, s.Volume, at.Name(), volume.ErrBusy)
		}
	}
	return err
}

func (s *Volumes) anothers(id, rel string, held volume.PathClaim) error {
	err := fmt.Errorf("directory %s on %s belongs to %s, not to %s: %w", rel, s.Volume, s.WithOwner(volume.IDOfStamp(held.Stamp)), id, volume.ErrForeign)
	r, getErr := s.GetAsMade(volume.IDOfStamp(held.Stamp))
	if errors.Is(getErr, volume.ErrNotFound) || getErr == nil && r.Stamp() != held.Stamp {
		return fmt.Errorf("%w: %w: it is just being made or removed", err, volume.ErrBusy)
	}
	return err
}
