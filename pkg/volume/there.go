// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"io/fs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// isFree says whether nothing is at a path.
func (s *Store) isFree(p string) (bool, error) {
	parent, name, err := s.split(p)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), ignoreNotExist(err)
	}
	defer parent.Close()
	return missing(parent, name)
}

// isThere returns nil if the volume's directory is in its place: fs.ErrNotExist where there is
// none, ErrForeign where it is another's.
func (s *Store) isThere(r Record) error {
	dir, err := s.root.Open(r.Path)
	if err != nil {
		return notADirectory(err)
	}
	defer dir.Close()
	return s.isOwn(dir, r)
}

func (s *Store) isReady(r Record) (bool, error) {
	f, err := s.look(r.ID)
	return f.state == ready && f.record.stamp() == r.stamp(), err
}

func missing(dir *safepath.Dir, name string) (bool, error) {
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
