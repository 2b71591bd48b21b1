// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// takePlace makes h the holder of a path at which nothing is, after making the directories on the way to it, and
// returns the holder that there is: h, or another of the same path. ErrForeign where something is that nobody holds,
// ErrNested if it is in a volume, or volumes are in it.
func (s *Store) takePlace(id string, h holder) (held holder, err error) {
	err = s.afresh(h.path, func() error {
		held, err = s.tryPlace(id, h)
		return err
	})
	return held, err
}

func (s *Store) tryPlace(id string, h holder) (holder, error) {
	parent, err := s.makeParents(h.path, h.stamp)
	if err != nil {
		return holder{}, err
	}
	defer parent.Close()
	// First: what is there now was not made by whoever claims the path next.
	absent, err := missing(parent, path.Base(h.path))
	if err != nil {
		return holder{}, err
	}
	if !absent {
		return s.holderOfPlace(parent, h.path, id)
	}
	held, err := s.claimPath(h)
	switch {
	case err == nil:
		return held, nil
	case errors.Is(err, fs.ErrExist) && held.parent:
		return holder{}, fmt.Errorf("directory %s on %s is being made to hold volume %s: %w: %w", h.path, s.volume, stampedID(held.stamp), ErrNested, ErrBusy)
	case errors.Is(err, fs.ErrExist):
		return held, nil
	}
	return holder{}, err
}

// holderOfPlace returns the holder of a path at which something is.
func (s *Store) holderOfPlace(parent *safepath.Dir, p, id string) (holder, error) {
	dir, err := parent.Open(path.Base(p))
	if err != nil {
		return holder{}, notADirectory(err)
	}
	defer dir.Close()
	held, err := s.whoHolds(dir, p)
	if err != nil {
		return holder{}, err
	}
	if held.parent || held.stamp == "" {
		return holder{}, errors.Join(s.undoUnmarked(id), s.foreign(dir, id, ""))
	}
	return held, nil
}

// newMode is the mode of a volume's directory until its owner is set: nobody else may enter it.
const newMode = 0o700
