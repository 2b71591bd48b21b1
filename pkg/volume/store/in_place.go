// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"io/fs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// IsFree says whether nothing is at a path.
func (s *Store) IsFree(p string) (bool, error) {
	parent, name, err := s.OpenParent(p)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), volume.IgnoreNotExist(err)
	}
	defer parent.Close()
	return IsMissing(parent, name)
}

// CheckInPlace returns nil if the volume's directory is in its place: fs.ErrNotExist where there is
// none, ErrForeign where it is another's.
func (s *Store) CheckInPlace(r volume.Record) error {
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		return volume.NotADirectory(err)
	}
	defer dir.Close()
	return s.CheckIdentity(dir, r)
}

// IsReady says whether a volume is there, of just this life of its ID.
func (s *Store) IsReady(r volume.Record) (bool, error) {
	f, err := s.Find(r.ID)
	return f.State == Ready && f.Record.Stamp() == r.Stamp(), err
}

// IsMissing says whether there is nothing of a name in a directory. No link is followed.
func IsMissing(dir *safepath.Dir, name string) (bool, error) {
	found, err := dir.Entry(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	found.Close()
	return false, nil
}
