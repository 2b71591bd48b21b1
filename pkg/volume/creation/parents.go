// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

const stepParent = "create: parent made"

// parentMode is the mode of a directory that the driver makes to hold volumes.
const parentMode = 0o755

// Ancestors are the directories above a path, the outermost first, without the Gluster volume's root.
func Ancestors(p string) []string {
	var list []string
	for at := path.Dir(p); at != "."; at = path.Dir(at) {
		list = append(list, at)
	}
	slices.Reverse(list)
	return list
}

// MakeParents returns the directory that is to hold the volume at p, making the ancestors that are missing. Their
// paths are claimed before, so that none becomes a volume. ErrNested if it is in a volume.
func (s *Creations) MakeParents(p, stamp string) (*safepath.Dir, error) {
	at, err := s.Root.Open(".")
	if err != nil {
		return nil, err
	}
	for _, ancestor := range Ancestors(p) {
		next, err := s.makeParent(at, ancestor, stamp)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

func (s *Creations) makeParent(parent *safepath.Dir, ancestor, stamp string) (*safepath.Dir, error) {
	name := path.Base(ancestor)
	dir, err := parent.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		// Before, so that it does not become a volume, and after, as a claim that was there may just have been given up
		// with the parent before.
		var held volume.PathClaim
		held, err = s.claimParent(ancestor, stamp)
		if err == nil {
			err = s.MakeDirectory(parent, ancestor, parentMode)
		}
		if err == nil {
			err = s.stillParent(held, stamp)
		}
		if err != nil {
			return nil, err
		}
		s.Step(stepParent)
		dir, err = s.OpenMade(parent, name)
	}
	if err != nil {
		return nil, volume.NotADirectory(err)
	}
	// Whoever makes a volume claims its path before: so a directory that is one is seen to be one.
	held, err := s.WhoHolds(dir, ancestor)
	if err == nil && held.Stamp != "" && !held.Parent {
		err = s.NestedError(ancestor, held)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// RemoveParents removes the volume's ancestors that the driver made and that hold
// nothing any more, the innermost first.
func (s *Creations) RemoveParents(r volume.Record) error {
	for _, ancestor := range slices.Backward(Ancestors(r.Path)) {
		removed, err := s.removeParent(ancestor)
		if err != nil || !removed {
			return err
		}
	}
	return nil
}

// removeParent removes a parent that the driver made, if it is empty, and then its claim, unless it has been made again
// meanwhile (makeParent claims before and after). Nothing with content can go.
func (s *Creations) removeParent(ancestor string) (removed bool, err error) {
	held, err := s.HolderOf(ancestor)
	if volume.IgnoreNotExist(err) != nil {
		return false, err
	}
	if err != nil {
		return s.removeMarkedParent(ancestor)
	}
	if !held.Parent {
		return false, nil
	}
	removed, err = s.removeEmptyParent(ancestor)
	if err != nil || !removed {
		return false, err
	}
	return true, s.GivePathUp(ancestor, func(h volume.PathClaim) (bool, error) {
		if h != held {
			return false, nil
		}
		return s.IsFree(ancestor)
	})
}

// removeEmptyParent says whether the directory is not there any more.
func (s *Creations) removeEmptyParent(ancestor string) (bool, error) {
	err := s.RetryRefreshed(ancestor, func() error { // another controller may just have made it again
		parent, name, err := s.OpenParent(ancestor)
		if err != nil {
			return err
		}
		defer parent.Close()
		return parent.Rmdir(name)
	})
	switch {
	case err == nil, volume.IsNotThere(err):
		return true, nil
	case errors.Is(err, unix.ENOTEMPTY):
		return false, nil
	}
	return false, err
}
