// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// TakePlace makes h the holder of a path at which nothing is, after making the directories on the way to it, and
// returns the holder that there is: h, or another of the same path. ErrForeign where something is that nobody holds,
// ErrNested if it is in a volume, or volumes are in it.
func (s *Creations) TakePlace(id string, h volume.PathClaim) (held volume.PathClaim, err error) {
	err = s.RetryRefreshed(h.Path, func() error {
		held, err = s.tryPlace(id, h)
		return err
	})
	return held, err
}

func (s *Creations) tryPlace(id string, h volume.PathClaim) (volume.PathClaim, error) {
	parent, err := s.MakeParents(h.Path, h.Stamp)
	if err != nil {
		return volume.PathClaim{}, err
	}
	defer parent.Close()
	// First: what is there now was not made by whoever claims the path next.
	absent, err := store.IsMissing(parent, path.Base(h.Path))
	if err != nil {
		return volume.PathClaim{}, err
	}
	if !absent {
		return s.holderOfPlace(parent, h.Path, id)
	}
	held, err := s.ClaimPath(h)
	switch {
	case err == nil:
		return held, nil
	case errors.Is(err, fs.ErrExist) && held.Parent:
		return volume.PathClaim{}, fmt.Errorf("directory %s on %s is being made to hold volume %s: %w: %w", h.Path, s.Volume, volume.IDOfStamp(held.Stamp), volume.ErrNested, volume.ErrBusy)
	case errors.Is(err, fs.ErrExist):
		return held, nil
	}
	return volume.PathClaim{}, err
}

// holderOfPlace returns the holder of a path at which something is.
func (s *Creations) holderOfPlace(parent *safepath.Dir, p, id string) (volume.PathClaim, error) {
	dir, err := parent.Open(path.Base(p))
	if err != nil {
		return volume.PathClaim{}, volume.NotADirectory(err)
	}
	defer dir.Close()
	held, err := s.WhoHolds(dir, p)
	if err != nil {
		return volume.PathClaim{}, err
	}
	if held.Parent || held.Stamp == "" {
		return volume.PathClaim{}, errors.Join(s.undoUnmarked(id), s.ForeignError(dir, id, ""))
	}
	return held, nil
}

// NewMode is the mode of a volume's directory until its owner is set: nobody else may enter it.
const NewMode = 0o700
