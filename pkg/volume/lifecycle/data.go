// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// OpenData opens the directory of a volume that is there, or was deleted since and is in the trash: the life of its ID
// that has this stamp. It returns how many bytes are used, 0 where that is not known. ErrNotFound where it is gone.
func (s *Volumes) OpenData(id, stamp string) (dir *safepath.Dir, used int64, err error) {
	dir, r, err := s.openData(id, stamp)
	if err != nil {
		return nil, 0, s.Explain(fmt.Errorf("open the data of volume %s on %s: %w", id, s.Volume, volume.NotADirectory(err)))
	}
	if err := s.CheckIdentity(dir, r); err != nil {
		dir.Close()
		return nil, 0, s.Explain(err)
	}
	if used, err = s.used(r); err != nil {
		used = 0 // which only tells how far a copy is
	}
	return dir, max(used, 0), nil
}

func (s *Volumes) openData(id, stamp string) (*safepath.Dir, volume.Record, error) {
	f, err := s.Find(id)
	if err != nil {
		return nil, f.Record, err
	}
	if f.State == store.Ready && f.Record.Stamp() == stamp {
		r, err := s.Current(f.Record)
		if err != nil {
			return nil, r, err
		}
		dir, err := s.Root.Open(r.Path)
		if volume.IgnoreNotExist(err) != nil || err == nil {
			return dir, r, err
		}
	}
	entries, err := s.Entries(id)
	if err != nil {
		return nil, volume.Record{}, err
	}
	for _, e := range entries {
		if e.Record.Stamp() == stamp && e.Moved && e.Suffix != store.DoomedSuffix {
			dir, err := e.Dir.Open(e.Base)
			return dir, e.Record, err
		}
	}
	return nil, volume.Record{}, volume.ErrNotFound
}
